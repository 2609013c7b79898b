/* What the reader has chosen. Every change draws the page again from this; nothing else is remembered. */

const state = {
  language: "en",
  theme: "auto",
  facts: [],
  open: new Set(),
  whole: new Set(),
  domestic: false,
  matrix: null,
  groups: [[], []],
  contrast: 0,
  sheet: { attribute: 0, value: null },
  refusal: null,
};

function sameFact(a, b) {
  return a[0] === b[0] && a[1] === b[1];
}

function isChosen(fact) {
  return state.facts.some((each) => sameFact(each, fact));
}

/* Adds a fact to the filter, takes its column's other value out, or removes it. */
function toggle(fact) {
  const others = state.facts.filter((each) => each[0] !== fact[0]);
  state.refusal = null;
  if (isChosen(fact)) state.facts = others;
  else if (others.length >= longest()) state.refusal = word("tooMany", { longest: whole(longest()) });
  else state.facts = [...others, fact];
  changed(true);
}

function clearFilter() {
  state.facts = [];
  state.refusal = null;
  changed(true);
}

/* Draws again and, where the filter changed, says what is seen now. */
function changed(announce = false) {
  const active = document.activeElement;
  const key = active && active.closest("[data-key]") ? active.closest("[data-key]").getAttribute("data-key") : null;
  draw();
  if (key !== null) {
    const again = document.querySelector(`[data-key="${CSS.escape(key)}"]`) || document.querySelector('[data-key="heading"]');
    if (again) again.focus({ preventScroll: true });
  }
  if (announce) document.getElementById("live").textContent = state.refusal || summaryText();
}

function summaryText() {
  const number = total(state.facts);
  const facts = factsName(state.facts);
  if (!number.shown) return word("summaryHidden", { facts });
  return word("summary", { facts, people: whole(number.estimate), range: rangeText(number.low, number.high) });
}
