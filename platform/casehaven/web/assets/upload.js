// Uploading a file: it may be dropped, and its progress is told. The same form is sent without this script.
const form = document.getElementById("upload");
const drop = document.getElementById("drop");
const input = document.getElementById("file");
const said = document.getElementById("upload-said");
const fault = document.getElementById("upload-fault");
const box = document.getElementById("upload-progress");
const bar = box.querySelector("progress");
const button = form.querySelector("button");

const fail = (words) => {
  fault.textContent = words;
  fault.hidden = !words;
};
const chosen = () => {
  fail("");
  said.textContent = input.files.length ? form.dataset.chosen.replace("{name}", input.files[0].name) : "";
};

document.getElementById("drop-hint").hidden = false;
input.addEventListener("change", chosen);
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  if (event.dataTransfer.files.length !== 1) {
    fail(form.dataset.one);
    return;
  }
  input.files = event.dataTransfer.files;
  chosen();
});

const over = (words) => {
  box.hidden = true;
  said.textContent = "";
  button.disabled = false;
  fail(words);
};

form.addEventListener(
  "submit",
  (event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    if (button.disabled) return;
    fail("");
    button.disabled = true;
    box.hidden = false;
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.setRequestHeader("Accept", "application/json, text/html;q=0.5");
    let told = -1;
    request.upload.addEventListener("progress", (moved) => {
      const percent = moved.total ? Math.floor((100 * moved.loaded) / moved.total) : 0;
      bar.value = percent;
      if (percent - told >= 10 || percent === 100) {
        told = percent;
        said.textContent = percent === 100 ? form.dataset.sealing : form.dataset.sending.replace("{percent}", percent);
      }
    });
    request.addEventListener("error", () => over(form.dataset.broke));
    request.addEventListener("load", () => {
      if (request.status === 201) {
        window.location.assign(JSON.parse(request.responseText).next);
        return;
      }
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      over(page.querySelector("main .message")?.textContent.trim().replace(/\s+/g, " ") || form.dataset.broke);
    });
    request.send(new FormData(form));
  },
  { capture: true },
);
