/* The model: every number of the page in closed form.

   The estimate of a combination of facts is people * sum over classes of weight * product of shares: one number for any combination,
   never larger than for a part of it. Its 95 % interval comes from the release's own scale, by length and size. What rule 25 hides has
   `shown: false`. A fact is [column, place of the value]. A column may follow from another one, its source, by a link: the share of its values
   for each value of the source, the same in every class. */

let DATA = null;
const MODEL = { weights: null, shares: [], links: new Map() };

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new DataView(bytes.buffer);
}

function readModel() {
  readLinks();
  const { people, classes, weights, codes, floor, step, largest } = DATA.model;
  const weightView = bytesOf(weights);
  MODEL.weights = Float64Array.from({ length: classes }, (_, k) => people * weightView.getFloat64(8 * k, true));
  const share = new Float64Array(largest + 1);
  for (let code = 1; code <= largest; code += 1) share[code] = Math.exp(Math.log(floor) + (code - 1) * step);
  const codeView = bytesOf(codes);
  let place = 0;
  MODEL.shares = DATA.columns.map((column) =>
    Array.from({ length: column.size }, () => {
      const row = new Float64Array(classes);
      for (let k = 0; k < classes; k += 1, place += 1) row[k] = share[codeView.getUint16(2 * place, true)];
      return row;
    })
  );
}

function readLinks() {
  for (const { column, source, values, places, table, doubt } of DATA.model.links) {
    const view = table === undefined ? null : bytesOf(table);
    const share = view ? (from, value) => view.getFloat64(8 * (from * values + value), true) : (from, value) => (places[from] === value ? 1 : 0);
    MODEL.links.set(column, { source, share, doubt, declared: table === undefined });
  }
}

/* The column that stands for all that hang together with this one. */
function family(column) {
  const link = MODEL.links.get(column);
  return link ? link.source : column;
}

/* Whether a fact hangs together with another one of the facts. */
function related(facts, [column]) {
  return facts.some((fact) => fact[0] !== column && family(fact[0]) === family(column));
}

/* The facts without repetition; null where two of them cannot be true of one person. */
function distinct(facts) {
  const values = new Map();
  for (const [column, value] of facts) {
    if (values.has(column) && values.get(column) !== value) return null;
    values.set(column, value);
  }
  return [...values];
}

/* People of each class who have all these facts. */
function peopleWith(facts) {
  const people = Float64Array.from(MODEL.weights);
  const families = new Map();
  for (const fact of facts) families.set(family(fact[0]), [...(families.get(family(fact[0])) || []), fact]);
  for (const [source, members] of families) {
    const row = members.length === 1 ? MODEL.shares[members[0][0]][members[0][1]] : together(source, members);
    for (let k = 0; k < people.length; k += 1) people[k] *= row[k];
  }
  return people;
}

/* Share of each class that has all these facts of one family. */
function together(source, members) {
  const shares = new Float64Array(MODEL.weights.length);
  MODEL.shares[source].forEach((row, from) => {
    let all = 1;
    for (const [column, value] of members) all *= column === source ? Number(value === from) : MODEL.links.get(column).share(from, value);
    if (all > 0) for (let k = 0; k < shares.length; k += 1) shares[k] += all * row[k];
  });
  return shares;
}

/* How many people of a view have one more fact. */
function sumWithFact(people, facts, fact) {
  return related(facts, fact) ? sum(peopleWith([...facts, fact])) : sumWith(people, MODEL.shares[fact[0]][fact[1]]);
}

function sumWith(people, row) {
  let sum = 0;
  for (let k = 0; k < people.length; k += 1) sum += people[k] * row[k];
  return sum;
}

function sum(people) {
  let total = 0;
  for (const each of people) total += each;
  return total;
}

/* Longest combination whose error is known. */
function longest() {
  return DATA.scale.logWidths.length;
}

function halfWidth(length, estimate) {
  const { centres, logWidths, misfit, normal } = DATA.scale;
  const widths = logWidths[length - 1];
  const log = Math.log(Math.max(estimate, 1));
  const last = centres.length - 1;
  let drawn = widths[0];
  if (log >= centres[last]) drawn = widths[last];
  else if (log > centres[0]) {
    let i = 0;
    while (centres[i + 1] <= log) i += 1;
    drawn = widths[i] + ((widths[i + 1] - widths[i]) * (log - centres[i])) / (centres[i + 1] - centres[i]);
  }
  return Math.sqrt(Math.exp(drawn) ** 2 + normal ** 2 * misfit[length - 1] * Math.sqrt(Math.max(estimate, 0)));
}

/* A half width, and what pairs of columns that are further off than others add to it. */
function widened(half, facts, estimate) {
  const columns = facts.map((fact) => fact[0]);
  let more = 0;
  for (const [one, other, misfit] of DATA.scale.apart || []) if (columns.includes(one) && columns.includes(other)) more += misfit;
  return more ? Math.sqrt(half ** 2 + DATA.scale.normal ** 2 * more * Math.sqrt(Math.max(estimate, 0))) : half;
}

/* The half width that a named table's own noisy numbers say of a combination; no limit where no table is named. */
function namedHalf(facts) {
  for (const [columns, halves] of DATA.scale.named || []) {
    if (columns.length !== facts.length || !columns.every((column) => facts.some((fact) => fact[0] === column))) continue;
    return halves[columns.reduce((place, column) => place * MODEL.shares[column].length + facts.find((fact) => fact[0] === column)[1], 0)];
  }
  return Infinity;
}

/* Half width of a combination of facts. One with declared columns is a union of combinations of their sources: the sum of the half widths of its
   parts, as for errors that go together, a part of less than ten people in proportion to its size, and never less than for one combination of its
   size, or than the part of the estimate that is in doubt for the declared value itself. */
function halfOf(facts, estimate) {
  const plain = Math.min(widened(halfWidth(facts.length, estimate), facts, estimate), namedHalf(facts));
  const declared = facts.filter(([column]) => MODEL.links.has(column) && MODEL.links.get(column).declared);
  if (!declared.length) return plain;
  const rest = facts.filter((fact) => !declared.includes(fact));
  const sources = [...new Set(declared.map(([column]) => MODEL.links.get(column).source))];
  let parts = [rest];
  for (const source of sources) {
    const mine = declared.filter(([column]) => MODEL.links.get(column).source === source);
    const fixed = rest.find((fact) => fact[0] === source);
    const values = MODEL.shares[source].map((_, from) => from).filter((from) => (!fixed || fixed[1] === from) && mine.every(([column, value]) => MODEL.links.get(column).share(from, value)));
    if (!fixed) parts = parts.flatMap((part) => values.map((from) => [...part, [source, from]]));
    else if (!values.length) parts = [];
  }
  let all = 0;
  for (const part of parts) {
    const people = sum(peopleWith(part));
    const seen = Math.max(people, 10);
    all += widened(halfWidth(part.length, seen), part, seen) * Math.min(people / 10, 1);
  }
  const doubts = declared
    .filter(([column]) => MODEL.links.get(column).doubt && !rest.some((fact) => fact[0] === MODEL.links.get(column).source))
    .map(([column, value]) => MODEL.links.get(column).doubt[value] * estimate);
  return Math.max(plain, all, ...doubts);
}

/* An estimate with its interval; privacy rule 25 decides whether it is shown. */
function numberOf(estimate, half) {
  const low = Math.max(estimate - half, 0);
  return { estimate, half, low, high: estimate + half, shown: estimate >= DATA.scale.minimum && low >= DATA.scale.lowestEnd };
}

function allPeople() {
  const { estimate, low, high } = DATA.release.people;
  return { estimate, half: (high - low) / 2, low, high, shown: estimate >= DATA.scale.minimum };
}

/* How many people have all these facts. */
function total(facts) {
  if (!facts.length) return allPeople();
  const estimate = sum(peopleWith(facts));
  return numberOf(estimate, halfOf(facts, estimate));
}

/* How many people of a view have one more fact; nobody has two values of one column. */
function counted(people, facts, [column, value]) {
  const chosen = facts.find((fact) => fact[0] === column);
  if (chosen) return chosen[1] === value ? total(facts) : { estimate: 0, half: 0, low: 0, high: 0, shown: true };
  const estimate = sumWithFact(people, facts, [column, value]);
  return numberOf(estimate, halfOf([...facts, [column, value]], estimate));
}

/* How many people of a view answered the questions of a dimension. The half width is the largest that any length has at that size,
   widened for the number of pairs among the questions. */
function answeredOf(people, facts, answered) {
  if (!answered) return total(facts);
  const unanswered = (columns, k) => {
    let share = 1;
    for (const column of columns.filter((each, place) => columns.findIndex((other) => family(other) === family(each)) === place)) {
      let missing = 0;
      for (const place of DATA.columns[column].missing) missing += MODEL.shares[column][place][k];
      share *= missing;
    }
    return share;
  };
  const known = new Set(facts.map((fact) => family(fact[0])));
  const held = { has: (column) => known.has(family(column)) };
  if (answered.every ? answered.sets.every((set) => set.some((c) => held.has(c))) : answered.sets.flat().some((c) => held.has(c)))
    return total(facts);
  let estimate = 0;
  for (let k = 0; k < people.length; k += 1) {
    if (answered.every)
      estimate += answered.sets.reduce((share, set) => share * (set.some((c) => held.has(c)) ? 1 : 1 - unanswered(set, k)), people[k]);
    else estimate += people[k] * (1 - unanswered(answered.sets.flat(), k));
  }
  const columns = answered.sets.flat().length;
  const spread = answered.spread * ((columns * (columns - 1)) / 2) * sum(people);
  return numberOf(estimate, Math.hypot(Math.max(...DATA.scale.logWidths.map((_, row) => halfWidth(row + 1, estimate))), spread));
}

/* A part as a share of its base, with the interval that both intervals give when their errors are independent. */
function shareOf(part, base) {
  const value = base.estimate > 0 ? Math.min(part.estimate / base.estimate, 1) : 0;
  const half = base.estimate > 0 ? Math.hypot(part.half, value * base.half) / base.estimate : 1;
  return { value, half, low: Math.max(value - half, 0), high: Math.min(value + half, 1), shown: part.shown && base.shown };
}

/* One view: the facts that everyone in it has. */
function viewOf(facts) {
  return { facts, people: peopleWith(facts), total: total(facts) };
}
