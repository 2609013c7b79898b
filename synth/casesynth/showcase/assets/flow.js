/* The flow between two countries of the same person: the largest pairs as bands. */

const BANDS = 14;

/* The pairs of a view that are shown, largest first. */
function pairsOf(view) {
  const [from, to] = DATA.views.flow.map((position) => DATA.dimensions[position]);
  const reach = (dimension) => dimension.facts.map((fact) => ({ fact, row: MODEL.shares[fact[0]][fact[1]] }));
  const held = (dimension) => view.facts.find((fact) => fact[0] === dimension.facts[0][0]);
  const length = view.facts.length + (held(from) ? 0 : 1) + (held(to) ? 0 : 1);
  if (length > longest()) return { tooLong: length };
  const sources = reach(from).filter(({ fact }) => (held(from) ? sameFact(held(from), fact) : sumWithFact(view.people, view.facts, fact) >= DATA.scale.minimum));
  const targets = reach(to).filter(({ fact }) => (held(to) ? sameFact(held(to), fact) : sumWithFact(view.people, view.facts, fact) >= DATA.scale.minimum));
  const pairs = [];
  let product = new Float64Array(view.people.length);
  for (const source of sources) {
    const both = held(from) ? view.facts : [...view.facts, source.fact];
    if (!held(from) && related(view.facts, source.fact)) product = peopleWith(both);
    else for (let k = 0; k < product.length; k += 1) product[k] = held(from) ? view.people[k] : view.people[k] * source.row[k];
    for (const target of targets) {
      const estimate = held(to) ? sum(product) : sumWithFact(product, both, target.fact);
      const number = numberOf(estimate, halfOf(held(to) ? both : [...both, target.fact], estimate));
      if (number.shown) pairs.push({ from: source.fact, to: target.fact, number });
    }
  }
  pairs.sort((a, b) => b.number.estimate - a.number.estimate);
  return { pairs, same: (pair) => from.facts.findIndex((f) => sameFact(f, pair.from)) === to.facts.findIndex((f) => sameFact(f, pair.to)) };
}

/* A text of at most so many letters; the isolates keep the dots at the end of a text from right to left. */
function shortened(text, most) {
  return `\u2068${text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text}\u2069`;
}

/* Two columns of countries with bands between them; mirrored where the language runs from right to left. */
function bandsDrawing(pairs, width, label) {
  const mirrored = language().direction === "rtl";
  const side = Math.min(190, Math.round(width * 0.32));
  const node = 10;
  const gap = 6;
  const most = Math.floor((side - 14) / 7.4);
  const all = pairs.reduce((total_, pair) => total_ + pair.number.estimate, 0);
  const columns = ["from", "to"].map((end) => {
    const nodes = new Map();
    for (const pair of pairs) {
      const key = pair[end].join(":");
      if (!nodes.has(key)) nodes.set(key, { fact: pair[end], size: 0, used: 0 });
      nodes.get(key).size += pair.number.estimate;
    }
    return nodes;
  });
  const rows = Math.max(columns[0].size, columns[1].size);
  const height = Math.max(30 * rows, 260);
  const scale = (height - rows * (gap + 4)) / all;
  const least = 12;
  for (const nodes of columns) {
    const sizes = [...nodes.values()].sort((a, b) => b.size - a.size);
    const need = sizes.reduce((sum_, each) => sum_ + Math.max(each.size * scale, least) + gap, -gap);
    let y = (height - need) / 2;
    for (const each of sizes) {
      each.y = y;
      each.height = Math.max(each.size * scale, least);
      each.inset = (each.height - each.size * scale) / 2;
      y += each.height + gap;
    }
  }
  const [first, last] = [Math.min(0, ...columns.flatMap((nodes) => [...nodes.values()].map((each) => each.y))), Math.max(height, ...columns.flatMap((nodes) => [...nodes.values()].map((each) => each.y + each.height)))];
  const x = (place) => (mirrored ? width - place : place);
  const [left, right] = [side, width - side];
  const parts = [];
  pairs.forEach((pair, place) => {
    const [a, b] = [columns[0].get(pair.from.join(":")), columns[1].get(pair.to.join(":"))];
    const thick = Math.max(pair.number.estimate * scale, 1);
    const [ya, yb] = [a.y + a.inset + a.used + thick / 2, b.y + b.inset + b.used + thick / 2];
    a.used += thick;
    b.used += thick;
    const middle = (left + right) / 2;
    parts.push(
      svg(
        "path",
        { class: `band tone${place % 4}`, d: `M${x(left + node)} ${ya}C${x(middle)} ${ya} ${x(middle)} ${yb} ${x(right - node)} ${yb}`, "stroke-width": thick.toFixed(2) },
        svg("title", {}, word("pairPeople", { from: factLabel(pair.from, { attribute: true }), to: factLabel(pair.to, { attribute: true }), people: whole(pair.number.estimate), range: rangeOf(pair.number) }))
      )
    );
  });
  columns.forEach((nodes, end) => {
    for (const each of nodes.values()) {
      const at = end === 0 ? left : right - node;
      parts.push(svg("rect", { class: "node", x: mirrored ? width - at - node : at, y: each.y, width: node, height: each.height }));
      const anchor = (end === 0) === mirrored ? "start" : "end";
      const place = end === 0 ? left - 6 : right + 6;
      parts.push(svg("text", { x: x(place), y: each.y + each.height / 2 + 4.5, "text-anchor": anchor }, shortened(factLabel(each.fact, { attribute: true }), most)));
    }
  });
  return svg("svg", { class: "flow", viewBox: `0 ${first - 2} ${width} ${last - first + 4}`, width, height: last - first + 4, role: "img", "aria-label": label }, parts);
}

function flowSection(view) {
  if (!DATA.views.flow) return null;
  const [from, to] = DATA.views.flow.map((position) => DATA.dimensions[position]);
  const heading = word("flowHeading", { from: dimensionLabel(from), to: dimensionLabel(to) });
  const found = pairsOf(view);
  if (found.tooLong) return section("flow", heading, tooLong(found.tooLong));
  const chosen = found.pairs.filter((pair) => state.domestic || !found.same(pair));
  const drawn = chosen.slice(0, BANDS);
  const width = Math.max(300, Math.min(920, document.documentElement.clientWidth - 72));
  const label = word("flowLabel", {
    pairs: listed(drawn.slice(0, 3).map((pair) => word("pairShort", { from: factLabel(pair.from, from), to: factLabel(pair.to, to), people: whole(pair.number.estimate) }))),
  });
  const pairTable = () =>
    table(
      word("tableOf", { what: heading, facts: factsName(view.facts) }),
      [dimensionLabel(from), dimensionLabel(to), word("people"), word("interval")],
      chosen.map((pair) => [factLabel(pair.from, from), factLabel(pair.to, to), countText(pair.number), rangeOf(pair.number)])
    );
  return section(
    "flow",
    heading,
    h(
      "div",
      { class: "panel" },
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "checkbox",
          "data-key": "domestic",
          checked: state.domestic,
          onchange: (event) => {
            state.domestic = event.target.checked;
            changed();
          },
        }),
        h("span", {}, word("domestic"))
      ),
      drawn.length
        ? [h("p", { class: "quiet" }, word("flowCount", { drawn: whole(drawn.length), all: whole(chosen.length) })), h("div", { class: "flow-ends", "aria-hidden": "true" }, h("span", {}, dimensionLabel(from)), h("span", {}, dimensionLabel(to))), bandsDrawing(drawn, width, label)]
        : notice(word("nothingShown")),
      drawn.length > 0 && disclosure("table:flow", word("asTable", { what: heading }), pairTable)
    )
  );
}
