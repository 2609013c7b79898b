/* Words and numbers in the reader's language. */

function language() {
  return DATA.languages.find((each) => each.code === state.language);
}

function word(key, filled = {}) {
  const text = language().words[key];
  if (text === undefined) throw new Error(`no word ${key} in ${state.language}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(filled[name]));
}

const FORMATS = new Map();
function formatted(number, options) {
  const key = state.language + JSON.stringify(options);
  if (!FORMATS.has(key)) FORMATS.set(key, new Intl.NumberFormat(state.language, options));
  return FORMATS.get(key).format(number);
}

function whole(number) {
  return formatted(Math.round(number), { maximumFractionDigits: 0 });
}

function percent(share) {
  return formatted(share, { style: "percent", maximumFractionDigits: share > 0 && share < 0.0995 ? 1 : 0 });
}

function points(share) {
  return formatted(100 * share, { maximumFractionDigits: 1, minimumFractionDigits: 1, signDisplay: "exceptZero" });
}

function rangeText(low, high, write = whole) {
  return word("range", { low: write(low), high: write(high) });
}

function listed(texts) {
  return new Intl.ListFormat(state.language, { type: "conjunction" }).format(texts);
}

function attributeLabel(attribute) {
  return attribute.labels[state.language];
}

function valueLabel(attribute, place) {
  return DATA.lists[attribute.list].labels[state.language][place] ?? word("missing");
}

function attributeOf(column) {
  return DATA.attributes[DATA.columns[column].attribute];
}

/* Values that are known: where yes is the only one, the attribute's own name says it all. */
function isLone(column) {
  const { value, size, missing } = DATA.columns[column];
  return value === null && size - missing.length === 1;
}

/* What the labels of several facts have in common in front, such as `Means of control: `. */
function commonStart(labels) {
  const start = /^[^::]+\s?[::]\s*/.exec(labels[0] || "");
  return start && labels.length > 1 && labels.every((label) => label.startsWith(start[0]) && label.length > start[0].length) ? start[0].length : 0;
}

/* A fact among others of its dimension. */
function factLabel(fact, dimension) {
  if (!dimension || dimension.attribute) return plainLabel(fact, dimension);
  const start = commonStart(dimension.facts.map((each) => plainLabel(each, dimension)));
  const label = plainLabel(fact, dimension).slice(start);
  return start ? label.charAt(0).toLocaleUpperCase(state.language) + label.slice(1) : label;
}

function plainLabel([column, place], dimension) {
  const attribute = attributeOf(column);
  const { value } = DATA.columns[column];
  if (value !== null) return place === 0 ? word("without", { value: valueLabel(attribute, value) }) : valueLabel(attribute, value);
  if (isLone(column)) return DATA.columns[column].missing.includes(place) ? word("missing") : attributeLabel(attribute);
  return dimension && dimension.attribute ? valueLabel(attribute, place) : factName([column, place]);
}

/* A fact that stands alone, such as a filter. */
function factName([column, place]) {
  const attribute = attributeOf(column);
  if (isLone(column)) return attributeLabel(attribute);
  const { value } = DATA.columns[column];
  return word("fact", { attribute: attributeLabel(attribute), value: valueLabel(attribute, value === null ? place : value) });
}

function dimensionLabel(dimension) {
  if (dimension.attribute) return attributeLabel(DATA.attributes.find((each) => each.name === dimension.attribute));
  return dimension.labels ? dimension.labels[state.language] : word("otherFacts");
}

function factsName(facts) {
  return facts.length ? listed(facts.map(factName)) : word("everyone");
}
