// On every page: a form is sent once; one that opens a window of its own can be sent again.
for (const form of document.querySelectorAll("form[method=post]:not([target])")) {
  let sent = false;
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    sent = true;
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) window.location.reload();
});
