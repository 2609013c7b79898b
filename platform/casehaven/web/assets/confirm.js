// Confirms with a passkey, then sends the form that waits.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const form = document.getElementById("confirm");
const button = document.getElementById("passkey");
const fault = document.getElementById("passkey-fault");
const page = form.elements.namedItem("page");

const ask = async (path, document_) => {
  const answer = await fetch(path, {
    method: "POST",
    cache: "no-store",
    headers: { "X-Casehaven-Page": page.value, "Content-Type": "application/json" },
    body: document_ === undefined ? undefined : JSON.stringify(document_),
  });
  if (!answer.ok) throw new Error("refused");
  return answer.json();
};

if (window.PublicKeyCredential) document.getElementById("with-passkey").hidden = false;
button.addEventListener("click", async () => {
  fault.hidden = true;
  button.disabled = true;
  try {
    const options = await ask("/v1/session/step-up/passkey-options");
    const found = await navigator.credentials.get({ publicKey: { ...options, challenge: bytes(options.challenge),
      ...(options.allowCredentials ? { allowCredentials: options.allowCredentials.map((each) => ({ ...each, id: bytes(each.id) })) } : {}) } });
    const answer = found.response;
    const shown = await ask("/v1/session/step-up/passkey", {
      credential: {
        id: found.id,
        rawId: text(found.rawId),
        type: found.type,
        clientExtensionResults: found.getClientExtensionResults(),
        response: {
          authenticatorData: text(answer.authenticatorData),
          clientDataJSON: text(answer.clientDataJSON),
          signature: text(answer.signature),
          userHandle: answer.userHandle ? text(answer.userHandle) : null,
        },
      },
    });
    page.value = shown.page_value;
    form.elements.namedItem("factor").required = false;
    form.requestSubmit();
  } catch {
    fault.textContent = button.dataset.fault;
    fault.hidden = false;
    button.disabled = false;
  }
});
