/* Elements. Text is only ever written as text. */

const SVG = "http://www.w3.org/2000/svg";

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "vars") for (const [key, each] of Object.entries(value)) node.style.setProperty(key, each);
    else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children);
}

function svg(tag, properties, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

/* Part of the page with a heading. */
function section(key, heading, ...children) {
  return h("section", { id: key, "aria-labelledby": `${key}-heading` }, h("h2", { id: `${key}-heading` }, heading), ...children);
}

/* A choice among texts; options are [value, text]. */
function choice(key, label, options, chosen, change) {
  const select = h(
    "select",
    { "data-key": key, onchange: (event) => change(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: String(value) === String(chosen) }, text))
  );
  return h("label", { class: "choice" }, h("span", {}, label), select);
}

function button(key, text, press, more = {}) {
  return h("button", { type: "button", "data-key": key, onclick: press, ...more }, text);
}

/* Part of the page that stays open or closed when the rest changes; filled when it is open. */
function disclosure(key, summary, content) {
  const node = h("details", { "data-open": key, open: state.open.has(key) }, h("summary", { "data-key": `open:${key}` }, summary));
  const once = () => {
    if (node.open) state.open.add(key);
    else state.open.delete(key);
    if (node.open && node.children.length === 1) node.append(content());
  };
  node.addEventListener("toggle", once);
  if (state.open.has(key)) once();
  return node;
}

/* A table with a caption, inside a box that scrolls; cells are texts, or {text, head, number}. */
function table(caption, heads, rows) {
  const cell = (content, place) => {
    const number = place > 0 && !(content instanceof Node);
    return place === 0 ? h("th", { scope: "row" }, content) : h("td", { class: number ? "n" : null }, content);
  };
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, heads.map((head, place) => h("th", { scope: "col", class: place ? "n" : null }, head)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, row.map(cell))))
    )
  );
}

function notice(text) {
  return h("p", { class: "notice" }, text);
}

/* Why a view of so many facts has no numbers. */
function tooLong(length) {
  return notice(word("tooLong", { length: whole(length), longest: whole(longest()) }));
}

function hiddenWord() {
  return h("em", { class: "hidden-word" }, word("hidden"));
}

function countText(number) {
  return number.shown ? whole(number.estimate) : word("hidden");
}

function rangeOf(number) {
  return number.shown ? rangeText(number.low, number.high) : word("hidden");
}

function shareText(share) {
  return share.shown ? percent(share.value) : word("hidden");
}

function shareRange(share) {
  return share.shown ? rangeText(share.low, share.high, percent) : word("hidden");
}
