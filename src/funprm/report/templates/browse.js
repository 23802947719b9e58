"use strict";
// The list of problems and the pages of single problems. Texts of problems and programs are
// untrusted: they become text nodes, never markup.
(() => {
  const byId = (id) => document.getElementById(id);
  const index = JSON.parse(byId("index").textContent);
  if (!index.problems.length) return;

  const [ID, DIFFICULTY, VERDICTS, PICKS] = [0, 1, 2, 3];
  const [TEXT, NAME, SCORES, K, N, CORRECTED] = [0, 1, 2, 3, 4, 5];
  const FIRST_ROWS = 300;
  const address = (problem) => `#/problem/${encodeURIComponent(problem[ID])}`;
  const position = new Map(index.problems.map((problem, i) => [address(problem), i]));
  const state = {
    text: "", difficulty: "", relation: "", a: index.focus, b: index.baseline,
    model: index.model, order: "sample", all: false,
  };

  function el(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (name.startsWith("--")) node.style.setProperty(name, value);
      else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value === true) node.setAttribute(name, "");
      else if (value !== false && value != null) node.setAttribute(name, value);
    }
    node.append(...children.filter((child) => child != null));
    return node;
  }

  // Verdicts

  const kind = (verdict) =>
    verdict === "passed" ? "pass" : verdict && verdict !== "not judged" ? "fail" : "none";
  const SIGNS = { pass: "\u2713", fail: "\u2717", none: "\u2013" };
  const verdictOf = (problem, selector) => problem[VERDICTS][problem[PICKS][selector]];
  const solves = (problem, selector) => verdictOf(problem, selector) === "passed";
  const fails = (problem, selector) => kind(verdictOf(problem, selector)) === "fail";

  function badge(verdict) {
    if (verdict === undefined) return el("span", { class: "none" }, "\u2013");
    const of = kind(verdict);
    return el("span", { class: `verdict ${of}` }, `${SIGNS[of]} ${verdict}`);
  }

  // The list

  const RELATIONS = {
    "": ["any result", () => true],
    apart: ["A and B differ", (p) => RELATIONS.only_a[1](p) || RELATIONS.only_b[1](p)],
    only_a: ["A solves, B fails", (p) => solves(p, state.a) && fails(p, state.b)],
    only_b: ["B solves, A fails", (p) => solves(p, state.b) && fails(p, state.a)],
    missed: ["A misses a passing program", (p) => fails(p, state.a) && p[VERDICTS].includes("passed")],
    never: ["no program passes", (p) => !p[VERDICTS].includes("passed")],
  };

  function matching() {
    const wanted = state.text.toLowerCase();
    const [, fits] = RELATIONS[state.relation];
    return index.problems.filter(
      (p) =>
        p[ID].toLowerCase().includes(wanted) &&
        (!state.difficulty || p[DIFFICULTY] === state.difficulty) &&
        fits(p),
    );
  }

  const link = (problem, text) =>
    el("a", { href: address(problem) }, text);

  function row(problem) {
    const verdicts = problem[VERDICTS];
    const passing = verdicts.filter((v) => v === "passed").length;
    const part = `${(100 * passing) / Math.max(1, verdicts.length)}%`;
    return el("tr", null,
      el("td", null, link(problem, problem[ID])),
      el("td", null, problem[DIFFICULTY]),
      el("td", null, `${passing} of ${verdicts.length}`, el("span", { class: "share", "--part": part })),
      el("td", null, badge(verdictOf(problem, state.a))),
      el("td", null, badge(verdictOf(problem, state.b))));
  }

  function choose(label, key, options, changed) {
    const select = el("select", {
      onchange: (event) => { state[key] = options[event.target.selectedIndex][0]; changed(); },
    }, ...options.map(([value, text]) => el("option", { selected: value === state[key] }, text)));
    return el("label", null, label, select);
  }

  function showList() {
    const found = matching();
    const rows = found.slice(0, state.all ? found.length : FIRST_ROWS);
    const heads = ["Problem", "Difficulty", "Passing programs",
      `A: ${index.selectors[state.a]}`, `B: ${index.selectors[state.b]}`];
    const more = found.length > rows.length
      ? el("p", null, el("button", { onclick: () => { state.all = true; showList(); } }, `Show all ${found.length}`))
      : null;
    byId("found").replaceChildren(
      el("p", { class: "sub", role: "status" }, `${found.length} of ${index.problems.length} problems`),
      el("div", { class: "wide" }, el("table", { class: "list" },
        el("caption", { class: "hidden" }, "Problems that match the filter"),
        el("thead", null, el("tr", null, ...heads.map((h) => el("th", { scope: "col" }, h)))),
        el("tbody", null, ...rows.map(row)))),
      ...(more ? [more] : []));
  }

  function openList() {
    const changed = () => { state.all = false; showList(); };
    const selectors = index.selectors.map((name, i) => [i, name]);
    const levels = [...new Set(index.problems.map((p) => p[DIFFICULTY]).filter(Boolean))];
    const order = ["easy", "medium", "hard"];
    levels.sort((x, y) => order.indexOf(x) - order.indexOf(y) || (x < y ? -1 : 1));
    byId("problems").replaceChildren(
      el("h1", { tabindex: -1 }, "Problems"),
      el("div", { class: "filters", role: "search" },
        el("label", null, "Name contains",
          el("input", { type: "search", id: "search", value: state.text,
            oninput: (event) => { state.text = event.target.value; changed(); } })),
        choose("Difficulty", "difficulty", [["", "any"], ...levels.map((d) => [d, d])], changed),
        choose("Selector A", "a", selectors, changed),
        choose("Selector B", "b", selectors, changed),
        choose("Show", "relation", Object.entries(RELATIONS).map(([k, [text]]) => [k, text]), changed)),
      el("div", { id: "found" }));
    showList();
  }

  // One problem

  const score = (step) => step[SCORES][state.model] ?? null;
  const written = (number) => (number === null ? "\u2013" : number.toFixed(2));

  function meanScore(candidate) {
    const scores = candidate.f.map(score).filter((s) => s !== null);
    return scores.length ? scores.reduce((a, b) => a + b) / scores.length : null;
  }

  // Away from 0.5 the colour turns from grey to blue or orange; its strength is the distance.
  function colours(value) {
    if (value === null) return { "--mark": "var(--grid)", "--tint": "transparent", "--wash": "transparent" };
    const end = value >= 0.5 ? "var(--good)" : "var(--bad)";
    const part = Math.round(200 * Math.abs(value - 0.5));
    const mark = `color-mix(in oklab, ${end} ${part}%, var(--grid))`;
    return {
      "--mark": mark,
      "--tint": `color-mix(in oklab, ${mark} 45%, var(--card))`,
      "--wash": `color-mix(in oklab, ${mark} 12%, var(--card))`,
    };
  }

  // The last step is the complete program: its reward is the verdict, which is shown anyway.
  function reward(step, isLast) {
    if (isLast || !step[N]) return "";
    const corrected = step[CORRECTED] === null ? "" : `, corrected to ${written(step[CORRECTED])}`;
    return `${step[K]} of ${step[N]} completions pass${corrected}`;
  }

  const pickers = (problem, i) =>
    index.selectors.filter((_, selector) => problem[PICKS][selector] === i).join(" \u00b7 ");

  function stepView(step, isLast, texts) {
    const value = score(step);
    const about = [reward(step, isLast), value === null ? "no score" : `score ${written(value)}`];
    return el("section", { class: "step", ...colours(value) },
      el("header", null, el("b", null, step[NAME] || "program"),
        el("span", null, about.filter(Boolean).join("  \u00b7  "))),
      el("pre", null, el("code", null, texts[step[TEXT]].replace(/^(\s*\n)+|\s+$/g, ""))));
  }

  function candidateView(problem, block, i, open) {
    const candidate = block.c[i];
    const by = pickers(problem, i);
    return el("details", { class: "candidate", id: `candidate-${i}`, open },
      el("summary", null, el("b", null, `Program ${candidate.i}`), badge(problem[VERDICTS][i]),
        el("span", { class: "by-score" }, `mean score ${written(meanScore(candidate))}`),
        by ? el("span", { class: "by" }, `chosen by ${by}`) : null),
      candidate.d ? el("p", { class: "detail" }, candidate.d) : null,
      ...candidate.f.map((step, at) => stepView(step, at === candidate.f.length - 1, block.t)));
  }

  function overviewRow(problem, block, i) {
    const candidate = block.c[i];
    const jump = () => {
      const target = byId(`candidate-${i}`);
      target.open = true;
      target.scrollIntoView({ block: "start" });
      target.querySelector("summary").focus({ preventScroll: true });
    };
    const cells = candidate.f.map((step) =>
      el("span", { title: step[NAME], ...colours(score(step)) }, written(score(step))));
    return el("tr", null,
      el("td", null, el("button", { onclick: jump, "aria-label": `Go to program ${candidate.i}` }, String(candidate.i))),
      el("td", null, badge(problem[VERDICTS][i])),
      el("td", { class: "functions" }, el("div", { class: "cells" }, ...cells)),
      el("td", { class: "num" }, written(meanScore(candidate))),
      el("td", { class: "by" }, pickers(problem, i)));
  }

  function showCandidates(problem, block) {
    const order = block.c.map((_, i) => i);
    if (state.order === "score") {
      order.sort((x, y) => (meanScore(block.c[y]) ?? -1) - (meanScore(block.c[x]) ?? -1));
    }
    const open = new Set([problem[PICKS][index.focus], problem[PICKS][index.baseline]]);
    const heads = ["Program", "Verdict", "Functions", "Mean", "Chosen by"];
    byId("candidates").replaceChildren(
      el("div", { class: "wide" }, el("table", { class: "overview" },
        el("caption", { class: "hidden" }, "Programs with the scores of their functions"),
        el("thead", null, el("tr", null, ...heads.map((h) => el("th", { scope: "col", class: h === "Mean" ? "num" : null }, h)))),
        el("tbody", null, ...order.map((i) => overviewRow(problem, block, i))))),
      ...order.map((i) => candidateView(problem, block, i, open.has(i))));
  }

  // A block is JSON, deflated and in base64: a fifth of the size, and opened only when needed.
  function unpack(i) {
    const bytes = Uint8Array.from(atob(byId(`p${i}`).textContent), (c) => c.charCodeAt(0));
    const inflated = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    return new Response(inflated).json();
  }

  function drawProblem(i, block) {
    const problem = index.problems[i];
    const again = () => showCandidates(problem, block);
    const found = matching();
    const at = found.indexOf(problem);
    const before = found[at - 1];
    const after = at < 0 ? undefined : found[at + 1];
    const passing = problem[VERDICTS].filter((v) => v === "passed").length;
    const tools = index.models.length
      ? el("div", { class: "tools" },
        choose("Coloured by", "model", index.models.map((name, m) => [m, name]), again),
        choose("Order", "order", [["sample", "as sampled"], ["score", "best mean score first"]], again),
        el("span", { class: "legend" }, "0", el("i", { "aria-hidden": "true" }), "1"))
      : null;
    byId("problem").replaceChildren(
      el("p", { class: "path" }, el("a", { href: "#/problems" }, "All problems"),
        before ? link(before, "\u2190 Previous") : null,
        after ? link(after, "Next \u2192") : null),
      el("h1", { tabindex: -1 }, problem[ID]),
      el("p", { class: "sub" }, [problem[DIFFICULTY], `${passing} of ${block.c.length} programs pass`].filter(Boolean).join(" \u00b7 ")),
      el("div", { class: "split" },
        el("div", { class: "statement", tabindex: 0, role: "region", "aria-label": "Statement" },
          el("h2", null, "Statement"), el("p", null, block.s)),
        el("div", null, el("h2", null, "Programs"), ...(tools ? [tools] : []), el("div", { id: "candidates" }))));
    showCandidates(problem, block);
  }

  // Routes: #/, #/problems, #/problem/ID

  async function route(event) {
    const hash = location.hash;
    if (hash && !hash.startsWith("#/")) return;
    const at = position.get(hash);
    const view = at !== undefined ? "problem" : hash === "#/problems" ? "problems" : "summary";
    for (const name of ["summary", "problems", "problem"]) byId(name).hidden = name !== view;
    for (const anchor of document.querySelectorAll("nav a")) {
      const current = anchor.dataset.view === view || (anchor.dataset.view === "problems" && view === "problem");
      if (current) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
    if (view === "problems") openList();
    if (view === "problem") {
      byId("problem").replaceChildren();
      const block = await unpack(at);
      if (location.hash !== hash) return;
      drawProblem(at, block);
    }
    if (event) {
      window.scrollTo(0, 0);
      byId(view).querySelector("h1").focus({ preventScroll: true });
    }
  }

  window.addEventListener("hashchange", route);
  window.addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("section:not([hidden]) details")) part.open = true;
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (["INPUT", "SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const links = byId("problem").hidden ? [] : [...document.querySelectorAll(".path a")];
    const wanted = { ArrowLeft: "\u2190", ArrowRight: "\u2192" }[event.key];
    if (wanted) links.find((anchor) => anchor.textContent.includes(wanted))?.click();
    if (event.key === "/" && byId("search")) { event.preventDefault(); byId("search").focus(); }
  });
  route(null);
})();
