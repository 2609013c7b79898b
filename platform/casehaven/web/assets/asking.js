// The price of a question moves as the form does. Without this script its button asks for the same.
const form = document.getElementById("question");
const panel = document.getElementById("price");
let waiting = 0;
let asking = false;
let changed = false;

const look = async () => {
  if (asking) {
    changed = true;
    return;
  }
  asking = true;
  changed = false;
  panel.setAttribute("aria-busy", "true");
  const sent = new URLSearchParams(new FormData(form));
  sent.delete("priced");
  sent.delete("tag");
  sent.set("do", "live");
  const answer = await fetch(form.action, { method: "POST", body: sent, headers: { Accept: "text/html" } }).catch(() => null);
  if (!changed) {
    const held = panel.contains(document.activeElement) && document.activeElement.name === "do";
    if (answer?.ok) {
      const found = new DOMParser().parseFromString(await answer.text(), "text/html");
      panel.replaceChildren(...found.body.childNodes);
    } else {
      panel.textContent = form.dataset.failed;
    }
    panel.removeAttribute("aria-busy");
    if (held) panel.querySelector("button")?.focus();
  }
  asking = false;
  if (changed) look();
};

// What was shown is no longer the price of what stands in the form.
const stale = () => {
  panel.querySelector("button")?.setAttribute("disabled", "");
  window.clearTimeout(waiting);
  waiting = window.setTimeout(look, 600);
};
form.addEventListener("input", stale);

// What a median, quartiles or a mean is of is chosen in a fold of its own.
form.addEventListener("change", (event) => {
  const fold = document.getElementById("of-number");
  if (fold && event.target.name === "show" && ["median", "quartiles", "mean"].includes(event.target.value)) fold.open = true;
});
if (!panel.querySelector("button")) waiting = window.setTimeout(look, 300);
