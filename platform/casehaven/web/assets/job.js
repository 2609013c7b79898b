// The page of a job looks again until the job has ended, and tells what changed; then it goes where the job leads.
const box = document.getElementById("job");
const state = () => document.getElementById("state")?.dataset.state;

const look = async () => {
  const answer = await fetch(box.dataset.again, { cache: "no-store", redirect: "manual", headers: { Accept: "text/html" } }).catch(() => null);
  if (answer?.type === "opaqueredirect") { // where it leads is read once: by the window, and not by this script
    window.location.replace(box.dataset.again);
    return;
  }
  if (answer?.ok) {
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    const now = found.getElementById("state")?.dataset.state;
    if (now !== "queued" && now !== "running") {
      window.location.replace(box.dataset.again);
      return;
    }
    if (found.getElementById("state").textContent !== document.getElementById("state").textContent || now !== state()) {
      box.replaceChildren(...found.getElementById("job").childNodes);
    }
  } else if (answer) {
    window.location.replace(box.dataset.again);
    return;
  }
  pause = Math.min(1.5 * pause, 1000 * Number(box.dataset.refresh));
  window.setTimeout(look, pause);
};
let pause = 500;
window.setTimeout(look, pause);
