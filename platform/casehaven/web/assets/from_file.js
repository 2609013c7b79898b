// A file that is chosen goes into the field beside it, where it can be read before it is sent. Without this script it is pasted.
for (const place of document.querySelectorAll("[data-script]")) {
  const input = place.querySelector("input[type=file]");
  const field = document.getElementById(input.dataset.into);
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    const most = Number(field.getAttribute("maxlength"));
    field.value = file.size > most ? "" : await file.text();
    field.setCustomValidity(file.size > most ? input.dataset.tooLarge : "");
    field.focus();
  });
  field.addEventListener("input", () => field.setCustomValidity(""));
  place.hidden = false;
}
