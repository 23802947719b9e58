"use strict";
// Asks /solve, and shows what its events tell. Texts of programs are only ever set as text.

const $ = (id) => document.getElementById(id);
const GOOD = "31, 120, 200";
const BAD = "235, 120, 30";
const FINISH = { length: "cut off", empty: "no program", refused: "refused" };
let candidates = new Map();
let shown = null; // the number of the candidate whose program is shown
let chosen = null;
let followed = true; // the reader has not chosen one himself
let running = null;

function make(name, text = "", kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function colour(score) {
  return score === null ? "transparent"
    : `rgba(${score >= 0.5 ? GOOD : BAD}, ${(1.5 * Math.abs(score - 0.5)).toFixed(3)})`;
}

function headers() {
  const key = $("key").value.trim();
  const found = { "Content-Type": "application/json" };
  if (key) found.Authorization = `Bearer ${key}`;
  return found;
}

// --- the form

function addTest(input = "", output = "") {
  const item = $("test").content.firstElementChild.cloneNode(true);
  item.querySelector(".input").value = input;
  item.querySelector(".output").value = output;
  item.querySelector(".remove").addEventListener("click", () => {
    item.remove();
    $("add").focus();
  });
  $("tests").append(item);
  return item;
}

function tests(entry) {
  const found = [];
  for (const item of $("tests").children) {
    const input = item.querySelector(".input");
    const output = item.querySelector(".output");
    if (!input.value.trim() && !output.value.trim()) continue;
    found.push({ input: value(input, entry), output: value(output, entry) });
  }
  return found;
}

function value(field, entry) {
  if (!entry) return field.value;
  try {
    return JSON.parse(field.value);
  } catch {
    field.focus();
    const what = field.className === "input" ? "a list of arguments, such as [1, 2]" : "a value";
    throw new Error(`With a function, tests are JSON: expected ${what}`);
  }
}

async function hello() {
  const ready = await fetch("ready").then((answer) => answer.json()).catch(() => null);
  const parts = ready === null ? ["the server does not answer"] : [
    ready.upstream ? "writes programs" : "has no upstream",
    ready.reward_model ? "scores functions" : "no reward model",
    ready.judge.startsWith("isolation: ") ? "runs tests in isolation" : `no tests: ${ready.judge}`,
  ];
  $("parts").textContent = parts.join(" · ");
  await models();
}

async function models() {
  const answer = await fetch("v1/models", { headers: headers() });
  $("key-field").hidden = answer.status !== 401 && !$("key").value;
  if (!answer.ok) return;
  const before = $("model").value;
  const names = (await answer.json()).data.map((model) => model.id);
  $("model").replaceChildren(...names.map((name) => new Option(name, name)));
  if (names.includes(before)) $("model").value = before;
}

async function solve() {
  if (running) return;
  const entry = $("entry").value.trim();
  let body;
  try {
    body = {
      statement: $("statement").value,
      tests: tests(entry),
      entry_point: entry,
      model: $("model").value,
      budget: Number($("budget").value),
    };
  } catch (error) {
    $("state").textContent = error.message;
    return;
  }
  begin();
  try {
    await follow(body);
  } catch (error) {
    $("state").textContent = error.name === "AbortError" ? "stopped" : error.message;
  } finally {
    running = null;
    $("go").disabled = false;
    $("stop").hidden = true;
  }
}

function begin() {
  candidates = new Map();
  shown = chosen = null;
  followed = true;
  running = new AbortController();
  $("go").disabled = true;
  $("stop").hidden = false;
  $("candidates").replaceChildren();
  $("shown").hidden = true;
  $("result").hidden = false;
  $("state").textContent = "waiting for the first program …";
}

// --- events

async function follow(body) {
  const answer = await fetch("solve", {
    method: "POST", headers: headers(), body: JSON.stringify(body), signal: running.signal,
  });
  if (answer.status === 401) $("key-field").hidden = false;
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value: piece, done } = await reader.read();
    if (done) break;
    const events = (rest + piece).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      if (event.startsWith("data: ")) take(JSON.parse(event.slice(6)), body.budget);
    }
  }
  if (chosen === null && !$("state").dataset.failed) throw new Error("the connection was closed");
}

function take(news, budget) {
  delete $("state").dataset.failed;
  if (news.type === "error") {
    $("state").dataset.failed = "yes";
    $("state").textContent = news.error.message;
    return;
  }
  if (news.type === "chosen") {
    news.candidates.forEach((known) => Object.assign(candidates.get(known.index), known));
    chosen = news.selected_index;
    const lost = news.failures.length;
    $("state").textContent =
      `program ${chosen + 1} of ${candidates.size}, chosen by ${news.selector}` +
      (lost ? `; ${lost} could not be had (${news.failures[0]})` : "");
    if (followed) shown = chosen;
  } else {
    candidates.set(news.index, { ...candidates.get(news.index), ...news });
    if (news.type === "sample") {
      $("state").textContent = `${candidates.size} of ${budget} programs`;
      if (shown === null) shown = news.index;
    }
  }
  draw();
}

// --- what is shown

function order() {
  return [...candidates.keys()].sort((a, b) => a - b);
}

function draw() {
  $("candidates").replaceChildren(...order().map(card));
  drawShown();
}

function card(index) {
  const known = candidates.get(index);
  const item = make("li", "", index === chosen ? "best" : "");
  item.id = `candidate-${index}`;
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", String(index === shown));
  item.append(make("b", `${index === chosen ? "★ " : ""}Program ${index + 1}`));
  if (typeof known.score === "number") item.append(make("span", known.score.toFixed(2), "score"));
  const ticks = make("span", "", "ticks");
  const passed = (known.statuses ?? []).filter((status) => status === "passed").length;
  ticks.textContent = (known.statuses ?? []).map((s) => (s === "passed" ? "✓" : "✗")).join("");
  if (ticks.textContent) {
    ticks.setAttribute("role", "img");
    ticks.setAttribute("aria-label", `${passed} of ${known.statuses.length} tests passed`);
  } else {
    ticks.textContent = FINISH[known.finish] ?? "";
  }
  const strip = make("span", "", "strip");
  for (const { score } of known.functions ?? []) {
    const part = make("i");
    part.style.background = colour(score);
    strip.append(part);
  }
  item.append(ticks, strip);
  item.addEventListener("click", () => show(index));
  return item;
}

function show(index) {
  followed = false;
  shown = index;
  draw();
}

function drawShown() {
  const known = candidates.get(shown);
  $("shown").hidden = !known;
  if (!known) return;
  $("candidates").setAttribute("aria-activedescendant", `candidate-${shown}`);
  $("title").textContent = `Program ${shown + 1}${shown === chosen ? ", the chosen one" : ""}`;
  $("detail").textContent = known.detail || FINISH[known.finish] || "";
  $("code").replaceChildren(...known.steps.map((step, number) => {
    const score = known.functions?.[number]?.score ?? null;
    const part = make("span", step.text);
    if (score !== null) {
      part.dataset.score = score.toFixed(2);
      part.style.background = colour(score);
      part.style.borderLeftColor = `rgb(${score >= 0.5 ? GOOD : BAD})`;
      part.title = `${step.name || "(no function)"}: ${score.toFixed(3)}`;
    }
    return part;
  }));
}

// --- keys

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  solve();
});
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter") $("form").requestSubmit();
  if (event.key === "Escape" && running) running.abort();
});
$("candidates").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const all = order();
  if (!step || !all.length) return;
  event.preventDefault();
  show(all[Math.min(all.length - 1, Math.max(0, all.indexOf(shown) + step))]);
});
$("add").addEventListener("click", () => addTest().querySelector("textarea").focus());
$("stop").addEventListener("click", () => running?.abort());
$("key").addEventListener("change", models);
$("copy").addEventListener("click", async () => {
  await navigator.clipboard.writeText(candidates.get(shown).steps.map((s) => s.text).join(""));
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy the program"; }, 1500);
});
addTest();
hello();
