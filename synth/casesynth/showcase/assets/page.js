/* The page: header, filter, views, caveats. */

function headerPart() {
  const { title, people } = DATA.release;
  return h(
    "header",
    { class: "top" },
    h(
      "div",
      { class: "bar-top" },
      h("h1", { dir: "auto", tabindex: "-1", "data-key": "heading" }, title),
      h(
        "div",
        { class: "controls" },
        choice("language", word("language"), DATA.languages.map((each) => [each.code, each.reviewed ? each.name : `${each.name} *`]), state.language, (value) => {
          state.language = value;
          state.refusal = null;
          changed();
        }),
        choice("theme", word("theme"), ["auto", "light", "dark"].map((each) => [each, word(`theme-${each}`)]), state.theme, (value) => {
          state.theme = value;
          changed();
        })
      )
    ),
    DATA.release.privateDecision && notice(h("b", {}, word("privateDecision"))),
    !language().reviewed && notice(`* ${word("unreviewed")}`),
    h(
      "div",
      { class: "lead" },
      h("p", { class: "big" }, word("leadPeople", { people: whole(people.estimate), range: rangeText(people.low, people.high), organisations: whole(DATA.release.organisations) })),
      h("p", {}, guaranteeText()),
      h("p", {}, word("leadSample"))
    )
  );
}

function guaranteeText() {
  const { odds, oneIn, epsilon, unit, tokens, oddsPerson, epsilonPerson } = DATA.release;
  const number = (text) => (Number.isFinite(Number(text)) ? formatted(Number(text), { maximumFractionDigits: 2 }) : word("moreThanMillion"));
  const filled = { odds: number(odds), oneIn: whole(oneIn), epsilon: formatted(epsilon, { maximumFractionDigits: 3 }) };
  const promise = word(unit === "record" ? "promiseRecord" : "promise", filled);
  if (tokens === 1) return promise;
  return `${promise} ${word("promiseTokens", { tokens: whole(tokens), odds: number(oddsPerson), epsilon: number(epsilonPerson) })}`;
}

function navigation(sections) {
  return h(
    "nav",
    { "aria-label": word("contents"), class: "contents" },
    h("ul", {}, sections.map((part) => h("li", {}, h("a", { href: `#${part.id}` }, part.querySelector("h2").textContent))))
  );
}

function filterPart(view) {
  const number = view.total;
  return h(
    "section",
    { class: "filter", "aria-label": word("filterHeading") },
    h("h2", {}, word("filterHeading")),
    h("p", { class: "seen" }, number.shown ? [h("b", {}, whole(number.estimate)), " ", h("span", {}, word("seenPeople", { range: rangeOf(number) }))] : word("summaryHidden", { facts: factsName(state.facts) })),
    state.facts.length
      ? h(
          "ul",
          { class: "chips" },
          state.facts.map((fact) => h("li", {}, button(`chip:${fact.join(":")}`, [factName(fact), h("span", { "aria-hidden": "true" }, " ×"), h("span", { class: "sr" }, ` — ${word("removeFilter")}`)], () => toggle(fact), { class: "chip" }))),
          h("li", {}, button("reset", word("reset"), clearFilter, { class: "quiet-button" }))
        )
      : h("p", { class: "quiet" }, word("noFilter", { longest: whole(longest()) })),
    state.refusal && notice(state.refusal),
    h("div", { class: "actions" }, button("save", word("saveTable"), saveTable), button("print", word("printPage"), () => window.print()))
  );
}

function hiddenFilled() {
  return { minimum: whole(DATA.scale.minimum), lowest: whole(DATA.scale.lowestEnd) };
}

function aboutSection() {
  const { unit, consent, created, licence, group, tokens, organisations } = DATA.release;
  const { people, relative, combinations } = DATA.close;
  const item = (head, text) => h("li", {}, h("b", {}, word(head)), " ", text);
  return section(
    "about",
    word("aboutHeading"),
    h(
      "ul",
      { class: "caveats" },
      item("caveatSampleHead", word("caveatSample")),
      item("caveatHiddenHead", word("caveatHidden", hiddenFilled())),
      item("caveatMissingHead", word("caveatMissing")),
      item("caveatIntervalHead", word("caveatInterval", { longest: whole(longest()) })),
      item("caveatShareHead", word("caveatShare")),
      item("caveatTrendHead", word("trendCaution")),
      item("caveatGroupHead", word("caveatGroup", { epsilon: whole(group) })),
      item("caveatOthersHead", word("caveatOthers")),
      item("caveatConsentHead", word(consent ? "caveatConsent" : "caveatBasis")),
      unit === "record" ? item("caveatUnitHead", word("caveatRecord")) : tokens < organisations ? item("caveatUnitHead", word("caveatTokens", { tokens: whole(tokens), organisations: whole(organisations) })) : null
    ),
    h("h3", {}, word("methodHeading")),
    h("p", {}, word("method")),
    h(
      "p",
      { id: "closeness" },
      word("closeness", {
        people: formatted(people, { maximumSignificantDigits: 2 }),
        relative: formatted(relative, { style: "percent", maximumSignificantDigits: 2 }),
        combinations: whole(combinations),
      })
    ),
    h("p", { class: "quiet" }, word("source", { date: created, licence }), DATA.map ? ` ${word("mapSource")}` : "")
  );
}

function draw() {
  const root = document.documentElement;
  root.lang = state.language;
  root.dir = language().direction;
  if (state.theme === "auto") delete root.dataset.theme;
  else root.dataset.theme = state.theme;
  const view = viewOf(state.facts);
  const parts = view.total.shown
    ? [trendSection(view), mapSection(view), barsSection(view), flowSection(view), matrixSection(view)]
    : [notice(word("summaryHidden", { facts: factsName(state.facts) }))];
  const sections = [...parts, compareSection(), sheetSection(), aboutSection()].filter(Boolean);
  document.getElementById("page").replaceChildren(
    h("a", { class: "skip", href: "#main" }, word("skip")),
    headerPart(),
    h("div", { class: "body" }, navigation(sections.filter((part) => part.id)), h("main", { id: "main", tabindex: "-1" }, filterPart(view), ...sections)),
    h("footer", {}, h("p", {}, word("footer")))
  );
}

function start() {
  DATA = JSON.parse(document.getElementById("data").textContent);
  readModel();
  const wanted = (navigator.languages || []).map((tag) => tag.split("-")[0]);
  state.language = wanted.find((code) => DATA.languages.some((each) => each.code === code)) || "en";
  state.groups = firstGroups();
  state.contrast = DATA.views.matrix ? DATA.views.matrix[0] : 0;
  document.body.append(h("p", { id: "live", class: "sr", role: "status", "aria-live": "polite" }));
  draw();
  let width = root_width();
  window.addEventListener("resize", () => {
    if (root_width() !== width) {
      width = root_width();
      changed();
    }
  });
  /* For readers who write programs: one number for any combination of attribute names and value codes. */
  window.showcase = { people: answerByName };
}

function root_width() {
  return document.documentElement.clientWidth;
}

function factByName(name, code) {
  const place = DATA.columns.findIndex((column) => {
    const attribute = DATA.attributes[column.attribute];
    return attribute.name === name && (column.value === null || DATA.lists[attribute.list].codes[column.value] === code);
  });
  if (place < 0) return null;
  const column = DATA.columns[place];
  const value = column.value === null ? DATA.lists[DATA.attributes[column.attribute].list].codes.indexOf(code) : 1;
  return value < 0 ? null : [place, value];
}

function answerByName(facts) {
  const found = facts.map(([name, code]) => factByName(name, code));
  if (found.includes(null)) throw new Error("no such attribute or value");
  if (found.length > longest()) throw new Error(word("tooLong", { length: whole(found.length), longest: whole(longest()) }));
  const { estimate, low, high, shown } = total(found);
  return shown ? { shown, estimate, low, high } : { shown };
}
