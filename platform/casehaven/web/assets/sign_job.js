// Signs with a passkey what the waiting form asks for, then sends the form with the signature.
const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

const form = document.getElementById("sign-job");
// What is signed stands on the button: a field named `dataset` takes the place of the form's own `dataset`.
const button = document.getElementById("sign-job-passkey");
const fault = document.getElementById("sign-job-fault");

button.disabled = false; // until now nobody would have listened
button.addEventListener("click", async () => {
  fault.hidden = true;
  button.disabled = true;
  try {
    const found = await navigator.credentials.get({
      publicKey: { challenge: bytes(button.dataset.challenge), userVerification: "required" },
    });
    const assertion = {
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
    const signed = JSON.stringify({ nonce: button.dataset.nonce, at: Number(button.dataset.at), assertion });
    form.elements.namedItem("job_assertion").value = text(new TextEncoder().encode(signed));
    form.requestSubmit();
  } catch {
    fault.textContent = button.dataset.fault;
    fault.hidden = false;
    button.disabled = false;
  }
});
