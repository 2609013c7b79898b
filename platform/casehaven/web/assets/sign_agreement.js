// Signs an agreement with a passkey: over the digest of the document that was read, and no other.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const form = document.getElementById("sign");
const fault = document.getElementById("sign-fault");
const field = (name) => form.elements.namedItem(name);

const sign = async () => {
  const answer = await fetch(form.dataset.challenge, { cache: "no-store" });
  const asked = answer.ok ? await answer.json() : {};
  if (asked.digest !== field("digest").value) throw new Error(form.dataset.changed);
  const found = await navigator.credentials.get({
    publicKey: { challenge: bytes(asked.challenge), userVerification: asked.userVerification },
  });
  return {
    id: found.id,
    rawId: text(found.rawId),
    type: found.type,
    response: {
      authenticatorData: text(found.response.authenticatorData),
      clientDataJSON: text(found.response.clientDataJSON),
      signature: text(found.response.signature),
      userHandle: found.response.userHandle ? text(found.response.userHandle) : null,
    },
  };
};

let busy = false;
form.addEventListener(
  "submit",
  async (event) => {
    if (field("assertion").value) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (busy) return;
    busy = true;
    fault.hidden = true;
    try {
      field("assertion").value = JSON.stringify(await sign());
      form.requestSubmit();
    } catch (error) {
      fault.textContent = error.message === form.dataset.changed ? form.dataset.changed : form.dataset.fault;
      fault.hidden = false;
    } finally {
      busy = false;
    }
  },
  { capture: true },
);
