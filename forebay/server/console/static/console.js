// The console's behaviour. Pages are made by the server; this keeps them fresh, sends what forms say, and draws charts.
"use strict";
(() => {
  const script = document.currentScript;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const one = (selector, within = document) => within.querySelector(selector);
  const made = (tag, attributes = {}, ...children) => {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "class") element.className = value;
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value != null) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child != null));
    return element;
  };
  const say = (text) => { one("#said").textContent = text; };
  const count = (value) => value == null ? "–" : String(value).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  const plural = (number, word) => `${count(number)} ${word}${number === 1 ? "" : "s"}`;

  function seconds(value) {
    if (value == null || !isFinite(value)) return "–";
    if (value < 0.9995) return `${Math.round(value * 1000)} ms`;
    if (value < 9.95) return `${value.toFixed(1)} s`;
    if (value < 59.5) return `${Math.round(value)} s`;
    if (value < 3570) {
      const minutes = Math.floor(Math.round(value) / 60), rest = Math.round(value) % 60;
      return rest && minutes < 10 ? `${minutes} min ${rest} s` : `${minutes} min`;
    }
    return value < 129600 ? `${Math.round(value / 3600)} h` : `${Math.round(value / 86400)} d`;
  }

  function ago(at) {
    const age = (Date.now() - new Date(at)) / 1000;
    if (!(age >= 5)) return "just now";
    if (age < 60) return `${Math.floor(age)} s ago`;
    if (age < 3600) return `${Math.floor(age / 60)} min ago`;
    return age < 86400 ? `${Math.floor(age / 3600)} h ago` : `${Math.floor(age / 86400)} d ago`;
  }

  // The API. What it refuses is thrown as the problem that it tells.

  let toastUntil;
  function tell(problem) {
    const toast = one("#failed");
    toast.textContent = problem.detail || problem.title || String(problem.message || problem);
    toast.hidden = false;
    clearTimeout(toastUntil);
    toastUntil = setTimeout(() => { toast.hidden = true; }, 12000);
  }

  // Whoever is no longer signed in is asked to, and comes back to this page.
  function signIn() {
    dispatchEvent(new Event("leaving"));
    location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
    return new Promise(() => {});
  }

  // Said only after a while: a page that is left cannot reach the server either.
  let lost;
  function reached(yes) {
    if (yes) { clearTimeout(lost); lost = undefined; one("#lost").hidden = true; }
    else lost ??= setTimeout(() => { one("#lost").hidden = false; }, 1500);
  }

  async function api(path, options = {}) {
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw { title: "The server cannot be reached. Is it still running?", errors: [] };
    }
    if (answer.status === 401) return signIn();
    const document = await answer.json().catch(() => ({ title: `The server answered ${answer.status}`, errors: [] }));
    if (!answer.ok) throw document;
    return document;
  }
  const post = (path, body) => api(path, {
    method: "POST", headers: body === undefined ? {} : { "Content-Type": "application/json" }, body: body === undefined ? undefined : JSON.stringify(body),
  });

  // What is live: the page is fetched again, and the parts that changed take the place of those that are shown.

  async function fresh() {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch((error) => { reached(false); throw error; });
    reached(true);
    if (answer.redirected && new URL(answer.url).pathname === "/sign-in") return signIn();
    if (!answer.ok || answer.redirected) throw new Error("not shown");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  const times = () => all("time[data-ago]").forEach((time) => {
    const text = ago(time.getAttribute("datetime"));
    if (time.textContent !== text) time.textContent = text;
  });

  const plain = (element) => element.innerHTML.replace(/(<time[^>]*>)[^<]*/g, "$1");

  async function keepFresh() {
    const next = await fresh();
    for (const part of all("[data-live]")) {
      const other = next.getElementById(part.id);
      if (!other || plain(other) === plain(part)) continue;
      const held = part.contains(document.activeElement) ? document.activeElement : null;
      const key = held && (held.getAttribute("href") || held.dataset.post);
      part.innerHTML = other.innerHTML;
      if (key) all("a, button", part).find((element) => (element.getAttribute("href") || element.dataset.post) === key)?.focus();
      if (part.id === "lead") say(part.textContent.replace(/\s+/g, " ").trim());
      if (part.tagName === "SCRIPT") charts();
    }
    // A page that got sections it did not have is another page.
    if (all("main > section, main > .two", next).length !== all("main > section, main > .two").length) await replace(next);
  }

  async function replace(next) {
    const main = one("main"), other = one("main", next);
    const held = main.contains(document.activeElement), tab = one("[role=tab][aria-selected=true]", main)?.id;
    main.replaceWith(other);
    one("#status", other) && say(`Run ${one("#status", other).textContent.trim()}`);
    if (held) other.focus();
    begin();
    if (tab) document.getElementById(tab)?.click();
  }

  function whileSeen(every, act) {
    let waits = 0;
    const tick = async () => {
      if (!document.hidden) {
        try { await act(); waits = 0; } catch { waits = Math.min(waits + 1, 2); }
      }
      setTimeout(tick, every * 2 ** waits);
    };
    setTimeout(tick, every);
  }

  // Buttons that ask the API for something

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-post]");
    if (!button) return;
    event.preventDefault();
    button.disabled = true;
    try {
      const run = await post(button.dataset.post, button.dataset.body ? JSON.parse(button.dataset.body) : undefined);
      if (button.dataset.said) say(button.dataset.said);
      if (button.dataset.then === "run") location.assign(`/runs/${run.id}`);
      else if (button.dataset.then === "reload") await replace(await fresh());
      if (button.dataset.said && !button.dataset.post.endsWith("/cancel")) {
        const text = button.textContent;
        button.textContent = button.dataset.said;
        setTimeout(() => { button.textContent = text; button.disabled = false; }, 3000);
      }
    } catch (problem) {
      tell(problem);
      button.disabled = false;
    }
  });

  // A run that goes on

  let following;
  function follow(live) {
    following?.close();
    const source = following = new EventSource(`/v1/runs/${live.dataset.run}/events`);
    let run = null, told = "";
    const eta = one("[data-eta]", live), whole = one("[data-whole]", live), steps = one("[data-steps]", live);
    const draw = () => {
      if (!run || lost || !live.isConnected) return;
      const done = run.steps.reduce((sum, step) => sum + (step.state === "done" ? 100 : step.percent), 0) / Math.max(1, run.steps.length);
      const passed = run.started_at ? (Date.now() - new Date(run.started_at)) / 1000 : 0;
      if (run.status === "queued") {
        eta.textContent = (run.place ? `Place ${run.place} in the queue` : "Waiting") + (run.starts_in != null ? `, starts in about ${seconds(run.starts_in)}` : "") +
          (run.attempt ? `; attempt ${run.attempt + 1}` : "") + (run.estimate ? `; such runs take about ${seconds(run.estimate)}` : "");
      } else {
        const left = run.estimate ? run.estimate - passed : null;
        eta.textContent = `Running for ${seconds(Math.max(0, passed))}` + (left == null ? "" : left > 0 ? `, about ${seconds(left)} left` : ", longer than such runs take") + (run.attempt > 1 ? `; attempt ${run.attempt}` : "");
      }
      whole.value = done;
      const known = all("li", steps);
      run.steps.forEach((step, index) => {
        const line = known[index] ?? steps.appendChild(made("li", {}, made("span", { class: "name" }), made("progress", { max: 100 }), made("span", { class: "num rows" }), made("span", { class: "num took" })));
        line.className = step.state;
        line.children[0].textContent = step.name;
        line.children[1].value = step.state === "done" ? 100 : step.percent;
        line.children[1].setAttribute("aria-label", step.name);
        line.children[2].textContent = step.rows == null ? "" : count(step.rows);
        line.children[3].textContent = step.seconds ? seconds(step.seconds) : "";
      });
      const now = run.status === "queued" ? "Queued" : run.steps.find((step) => step.state === "running")?.name;
      if (now && now !== told) say(told = now);
      const status = one("#status .status");
      if (!status.classList.contains(run.status)) {
        status.className = `status ${run.status}`;
        status.textContent = run.status[0].toUpperCase() + run.status.slice(1);
      }
    };
    const clock = setInterval(() => live.isConnected ? draw() : (clearInterval(clock), source.close()), 1000);
    source.addEventListener("run", async (event) => {
      run = JSON.parse(event.data);
      if (["succeeded", "failed", "cancelled"].includes(run.status)) {
        clearInterval(clock);
        source.close();
        await fresh().then(replace, () => location.reload());
      } else draw();
    });
    // The browser connects again by itself; if it was refused, the page says why.
    const again = () => setTimeout(() => live.isConnected && fresh().then(replace, again), 2000);
    source.addEventListener("open", () => reached(true));
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED ? again() : reached(false));
  }

  // The form of a calculation

  const chosen = {};
  function form(ask) {
    const problems = one("#problems"), button = one("#run", ask);
    const complain = (name, text) => {
      const place = document.getElementById(`error-${name}`);
      const control = document.getElementById(`p-${name}`) || document.getElementById(`chosen-${name}`);
      if (!place) return null;
      place.textContent = text.replace(/`/g, "");
      place.hidden = !text;
      text ? control?.setAttribute("aria-invalid", "true") : control?.removeAttribute("aria-invalid");
      return control;
    };
    const clear = () => {
      problems.hidden = true;
      all(".error", ask).forEach((place) => complain(place.id.slice("error-".length), ""));
    };
    ask.addEventListener("input", ({ target }) => {
      if (!target.dataset.parameter) return;
      target.dataset.touched = "yes";
      complain(target.dataset.parameter, "");
    });

    ask.addEventListener("submit", async (event) => {
      event.preventDefault();
      clear();
      const parameters = {}, inputs = {};
      for (const control of all("[data-parameter]", ask)) {
        const { parameter, given, empty, touched } = control.dataset;
        if (control.validity?.badInput) { complain(parameter, "This is no value of its type.").focus(); return; }
        parameters[parameter] = !touched ? JSON.parse(given) : control.type === "checkbox" ? control.checked : control.value === "" ? JSON.parse(empty) : control.value;
      }
      for (const input of all("[data-input]", ask)) {
        const id = one("[data-chosen]", input).value;
        if (id) inputs[input.dataset.input] = id;
      }
      button.disabled = true;
      try {
        const body = { calculation: ask.dataset.calculation, parameters, inputs, accept_valid: one("#accept").checked && !one("[data-accept]").hidden, fresh: one("#fresh").checked };
        const run = await post("/v1/runs", body);
        location.assign(`/runs/${run.id}`);
      } catch (problem) {
        button.disabled = false;
        let first = null;
        const rest = [];
        for (const error of problem.errors?.length ? problem.errors : [{ what: problem.title, advice: "" }]) {
          const text = error.advice && !/--\w|GET \//.test(error.advice) ? `${error.what}. ${error.advice}` : error.what;
          const names = [...error.what.matchAll(/`([^`]+)`/g)].map((match) => match[1]);
          const name = names.find((found) => document.getElementById(`error-${found}`));
          const control = name && complain(name, text);
          if (control) first ??= control;
          else rest.push(text);
        }
        if (rest.length) {
          problems.replaceChildren(...rest.map((text) => made("p", {}, text.replace(/`/g, ""))));
          problems.hidden = false;
          first ??= problems;
        }
        first.focus();
      }
    });
    // What was typed is there again after signing in, for whom it was.
    const key = `typed ${location.pathname}${location.search}`, who = one(".who b").textContent, ticks = ["#accept", "#fresh"];
    addEventListener("leaving", () => sessionStorage.setItem(key, JSON.stringify({
      who, ticks: ticks.map((id) => one(id, ask).checked),
      touched: all("[data-touched]", ask).map((control) => [control.id, control.value, control.checked]),
      files: all("[data-chosen]", ask).map((select) => [select.id, select.value]),
    })));
    const typed = JSON.parse(sessionStorage.getItem(key));
    sessionStorage.removeItem(key);
    if (typed?.who === who) {
      ticks.forEach((id, index) => { one(id, ask).checked = typed.ticks[index]; });
      for (const [id, value, checked] of [...typed.touched, ...typed.files]) {
        const control = document.getElementById(id);
        if (!control) continue;
        control.value = value;
        if (control.dataset.parameter) control.dataset.touched = "yes";
        if (control.type === "checkbox") control.checked = checked;
      }
    }
    all("[data-input]", ask).forEach((input) => upload(input, complain));
  }

  function upload(input, complain) {
    const name = input.dataset.input, select = one("[data-chosen]", input), file = one("[data-file]", input);
    const examined = one("[data-examined]", input), report = one("[data-report]", input), accept = one("[data-accept]");
    let asked = 0;

    const rejected = () => {
      chosen[name] = select.value && select.dataset.status === "rejected";
      accept.hidden = !Object.values(chosen).some(Boolean);
    };
    const show = async (id) => {
      const mine = ++asked;
      report.hidden = true;
      one("[data-lost]", input)?.toggleAttribute("hidden", Boolean(id));
      select.dataset.status = "";
      complain(name, "");
      rejected();
      if (!id) { examined.replaceChildren(); return; }
      let found;
      for (let wait = 0; ; wait = 20) {
        try { found = await api(`/v1/inputs/${encodeURIComponent(id)}?wait=${wait}`); } catch (problem) { complain(name, problem.title); return; }
        if (mine !== asked) return;
        if (found.status !== "checking") break;
        examined.replaceChildren(made("span", { class: "status running" }, `Checking ${found.filename}`));
      }
      select.dataset.status = found.status;
      rejected();
      const size = found.rows == null ? "" : plural(found.rows, "row");
      const granular = found.granular != null && found.granular !== found.rows ? `, ${plural(found.granular, "granular row")}` : "";
      if (found.status === "ready") examined.replaceChildren(made("span", { class: "status good" }, `Every row is valid: ${size}${granular}`));
      else if (found.status === "failed") {
        const failure = found.failure || {};
        examined.replaceChildren(made("span", { class: "status bad" }, "It cannot be used"));
        complain(name, [failure.where, failure.what, failure.advice].filter(Boolean).join(". "));
      } else {
        examined.replaceChildren(made("span", { class: "status bad" }, `${plural(found.rejected, "row")} of ${count(found.rows)} break${found.rejected === 1 ? "s" : ""} rules`), " ", made("a", { href: `/v1/inputs/${encodeURIComponent(found.id)}/rejected.csv`, download: true }, "Download these rows"));
        bad(found, 0);
      }
    };
    const bad = async (found, offset) => {
      const limit = 20;
      let page;
      try {
        page = await api(`/v1/inputs/${encodeURIComponent(found.id)}/report?offset=${offset}&limit=${limit}`);
      } catch {
        // Without the report there are still its first lines.
        report.replaceChildren(made("ul", {}, ...found.bad.map((text) => made("li", {}, text))));
        report.hidden = false;
        return;
      }
      const table = made("table", {}, made("caption", { class: "unseen" }, `Rows of ${found.filename} that break rules`),
        made("thead", {}, made("tr", {}, ...["Row", "Column", "Value", "Rule"].map((text, index) => made("th", { scope: "col", class: index ? "" : "num" }, text)))),
        made("tbody", {}, ...page.rows.map((row) => made("tr", {},
          made("td", { class: "num" }, row.row == null ? "–" : count(row.row)), made("th", { scope: "row" }, row.column || "–"),
          made("td", { class: "clip", title: row.value }, row.value == null ? made("i", { class: "null" }, "none") : String(row.value)), made("td", { class: "long" }, row.rule ?? "")))));
      const last = Math.min(offset + limit, page.total);
      const step = (text, label, to, able) => {
        const button = made("button", { type: "button", class: "small", "aria-label": label, disabled: !able }, text);
        button.addEventListener("click", () => bad(found, to));
        return button;
      };
      report.replaceChildren(made("div", { class: "scroll" }, table), made("div", { class: "bar" },
        made("p", { class: "quiet small", "aria-live": "polite" }, page.total ? `${count(offset + 1)}–${count(last)} of ${count(page.total)}` : "none"),
        made("div", { class: "pages" }, step("‹", "Broken rules before", Math.max(0, offset - limit), offset > 0), step("›", "Broken rules after", offset + limit, last < page.total))));
      report.hidden = false;
    };
    const send = async (given) => {
      if (!given) return;
      if (given.size > Number(file.dataset.max)) { complain(name, `${given.name} is too large: at most ${count(Number(file.dataset.max))} bytes are taken.`); return; }
      complain(name, "");
      report.hidden = true;
      examined.replaceChildren(made("span", { class: "status running" }, `Sending ${given.name}`));
      try {
        const found = await api(`/v1/inputs?input=${encodeURIComponent(name)}&filename=${encodeURIComponent(given.name)}`, { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: given });
        all("option", select).find((option) => option.value === found.id)?.remove();
        select.options[0].after(made("option", { value: found.id }, `${found.filename} · just now`));
        select.value = found.id;
        await show(found.id);
      } catch (problem) {
        examined.replaceChildren();
        complain(name, problem.detail || problem.title);
      }
    };
    select.addEventListener("change", () => show(select.value));
    if (file) {
      file.addEventListener("change", () => { send(file.files[0]); file.value = ""; });
      input.addEventListener("dragover", (event) => { event.preventDefault(); input.classList.add("over"); });
      input.addEventListener("dragleave", () => input.classList.remove("over"));
      input.addEventListener("drop", (event) => { event.preventDefault(); input.classList.remove("over"); send(event.dataTransfer.files[0]); });
    }
    if (select.value) show(select.value);
  }

  // Tabs, as the ARIA pattern has them

  function tabs(list) {
    const buttons = all("[role=tab]", list);
    const open = (button, focus) => {
      for (const other of buttons) {
        const shown = other === button;
        other.setAttribute("aria-selected", String(shown));
        other.tabIndex = shown ? 0 : -1;
        const panel = document.getElementById(other.getAttribute("aria-controls"));
        panel.hidden = !shown;
        if (shown) output(panel);
      }
      if (focus) button.focus();
    };
    list.addEventListener("click", (event) => { const button = event.target.closest("[role=tab]"); if (button) open(button); });
    list.addEventListener("keydown", (event) => {
      const at = buttons.indexOf(document.activeElement);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
      if (at < 0 || to === undefined) return;
      event.preventDefault();
      open(buttons[(to + buttons.length) % buttons.length], true);
    });
    open(buttons[0]);
  }

  // An output: its rows by pages, and a chart

  const numeric = (value) => value == null ? null : Number(String(value));
  function output(panel) {
    if (panel.dataset.begun) return;
    panel.dataset.begun = "yes";
    const shape = JSON.parse(one("[data-shape]", panel).textContent);
    const base = `/v1/runs/${panel.dataset.of}/results/${encodeURIComponent(panel.dataset.output)}/rows`;
    if (shape.total > 0) pages(panel, shape, base);
    figure(panel, shape, base);
  }

  const text = (cell) => cell == null ? null : typeof cell === "object" ? JSON.stringify(cell) : String(cell);
  function pages(panel, shape, base) {
    const limit = 50, body = one("[data-rows]", panel), told = one("[data-count]", panel);
    const back = one("[data-back]", panel), on = one("[data-on]", panel), search = one("[data-search]", panel);
    let offset = 0, order = null, descending = false, asked = 0;
    const show = async () => {
      const mine = ++asked;
      const query = new URLSearchParams({ offset, limit });
      if (order !== null) { query.set("order", order); query.set("descending", descending); }
      if (search.value) query.set("search", search.value);
      let page;
      try { page = await api(`${base}?${query}`); } catch (problem) { tell(problem); return; }
      if (mine !== asked) return;
      body.replaceChildren(...page.rows.map((row) => made("tr", {}, ...row.map((cell, index) =>
        made("td", { class: shape.numeric[index] ? "num" : "clip", title: shape.numeric[index] ? null : text(cell) }, cell == null ? made("i", { class: "null" }, "null") : text(cell))))));
      const total = page.matching ?? page.total;
      told.textContent = total ? `${count(offset + 1)}–${count(Math.min(offset + limit, total))} of ${count(total)}` : "No row matches";
      back.disabled = offset === 0;
      on.disabled = offset + limit >= total;
    };
    one("[data-tools]", panel).hidden = false;
    back.addEventListener("click", () => { offset = Math.max(0, offset - limit); show(); });
    on.addEventListener("click", () => { offset += limit; show(); });
    let later;
    search.addEventListener("input", () => { clearTimeout(later); later = setTimeout(() => { offset = 0; show(); }, 250); });
    for (const head of all("[data-column]", panel)) {
      const button = made("button", { type: "button" }, head.dataset.column);
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const again = order === head.dataset.column;
        descending = again ? !descending : shape.numeric[shape.columns.indexOf(head.dataset.column)];
        order = head.dataset.column;
        offset = 0;
        all("[data-column]", panel).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        show();
      });
    }
    show();
  }

  // Charts

  let plotly;
  const loaded = () => plotly ??= new Promise((done, failed) => {
    const element = made("script", { src: script.dataset.plotly });
    element.addEventListener("load", () => done(window.Plotly));
    element.addEventListener("error", () => failed(new Error("The charts’ script cannot be loaded")));
    document.head.append(element);
  });
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  async function draw(canvas, of) {
    drawn.set(canvas, of);
    let Plotly;
    try { Plotly = await loaded(); } catch (error) { tell(error); return; }
    if (!canvas.isConnected) return;
    const { traces, layout = {} } = of();
    const axis = { gridcolor: colour("line"), linecolor: colour("line"), zerolinecolor: colour("strong-line"), tickfont: { color: colour("quiet"), size: 11 }, title: { font: { color: colour("quiet"), size: 12 } }, automargin: true };
    const whole = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: getComputedStyle(document.body).fontFamily, color: colour("ink"), size: 12 },
      margin: { l: 56, r: 16, t: 12, b: 36 }, hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("strong-line"), font: { color: colour("ink") } },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { color: colour("ink") } }, colorway: [1, 2, 3].map((n) => colour(`series-${n}`)), dragmode: false, ...layout,
      xaxis: { ...axis, showgrid: false, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    };
    await Plotly.react(canvas, traces, whole, { displayModeBar: false, responsive: true, showTips: false });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [canvas, of] of drawn) canvas.isConnected ? draw(canvas, of) : drawn.delete(canvas);
  });

  function figure(panel, shape, base) {
    const place = one("[data-plot]", panel), canvas = one("[data-canvas]", panel), x = one("[data-x]", panel), y = one("[data-y]", panel);
    const numbers = shape.columns.filter((_, index) => shape.numeric[index]);
    const others = shape.columns.filter((_, index) => !shape.numeric[index]);
    const date = shape.columns.filter((_, index) => /^(DATE|TIMESTAMP)/i.test(shape.types[index]));
    // A single row has no shape to see.
    const by = date[0] ?? others[0] ?? (numbers.length > 1 ? numbers[0] : null);
    if (shape.total < 2 || by === null || !numbers.some((name) => name !== by)) return;
    const measures = numbers.filter((name) => name !== by);
    x.append(...[...new Set([by, ...date, ...others, ...numbers])].map((name) => made("option", {}, name)));
    // A column that is all zero shows nothing.
    const told = measures.filter((name) => shape.rows.some((row) => numeric(row[shape.columns.indexOf(name)])));
    const wanted = told.find((name) => /change|diff|delta/i.test(name) && !/pct|percent/i.test(name)) ?? told.find((name) => /revenue|sales|amount|total|value/i.test(name)) ?? told.at(-1) ?? measures.at(-1);
    y.append(...numbers.map((name) => made("option", { selected: name === wanted }, name)));
    place.hidden = false;
    let rows = shape.rows;
    const note = one("[data-note]", panel);
    const show = () => draw(canvas, () => {
      const [a, b] = [x.value, y.value].map((name) => shape.columns.indexOf(name));
      const along = rows.map((row) => shape.numeric[a] ? numeric(row[a]) : row[a] ?? "null");
      const values = rows.map((row) => numeric(row[b]));
      const line = date.includes(x.value);
      const long = !line && along.length > 60;
      const largest = Math.max(...values.map(Math.abs).filter(isFinite)), huge = largest >= 1e15;
      const hover = `%{x}<br>%{y:${huge ? ".6~e" : ","}}<extra>%{fullData.name}</extra>`;
      let traces = [{ type: "bar", x: along, y: values, marker: { color: colour("series-1") }, hovertemplate: hover, name: "" }];
      let told = new Set(along).size < along.length ? `Rows of the same ${x.value} stand upon each other.` : "";
      if (line) [traces, told] = lines(rows, along, values, hover);
      const part = rows.length < shape.total ? `First ${count(rows.length)} of ${count(shape.total)} rows. ` : "";
      note.textContent = part + told;
      return { traces, layout: { showlegend: traces.length > 1, bargap: long ? 0.05 : 0.35, xaxis: { type: line ? "date" : shape.numeric[a] ? "-" : "category", tickangle: "auto", nticks: long ? 20 : undefined }, yaxis: { title: { text: y.value, font: { size: 12, color: colour("quiet") } }, tickformat: huge ? "~e" : largest >= 1e5 ? "~s" : "," } } };
    });
    // Where a date is there several times, one line would jump between what the rows are about: a line for each of a few names, else points.
    const lines = (rows, along, values, hover) => {
      const name = along.length > new Set(along).size ? others.filter((name) => !date.includes(name)).find((name) => {
        const many = new Set(rows.map((row) => row[shape.columns.indexOf(name)])).size;
        return many > 1 && many <= 8;
      }) : undefined;
      const groups = new Map();
      rows.forEach((row, index) => {
        const of = name === undefined ? "" : String(row[shape.columns.indexOf(name)] ?? "null");
        groups.set(of, [...(groups.get(of) ?? []), [along[index], values[index]]]);
      });
      const single = [...groups.values()].every((points) => new Set(points.map((point) => point[0])).size === points.length);
      const traces = [...groups].map(([of, points], index) => {
        points.sort((one, other) => one[0] < other[0] ? -1 : one[0] > other[0] ? 1 : 0);
        const line = { color: colour(`series-${index + 1}`), width: 2 };
        return { type: "scatter", mode: single ? "lines+markers" : "markers", x: points.map((point) => point[0]), y: points.map((point) => point[1]), line, marker: { size: 5, color: line.color }, name: of, hovertemplate: hover };
      });
      return [traces, name === undefined ? (single ? "" : "A point for each row.") : `By ${name}.`];
    };
    x.addEventListener("change", show);
    y.addEventListener("change", show);
    if (shape.total > rows.length) {
      api(`${base}?offset=0&limit=1000`).then((page) => { rows = page.rows; show(); }, tell);
    } else show();
  }

  function durations(canvas) {
    const data = JSON.parse(one("#durations-data").textContent);
    draw(canvas, () => {
      const at = (list, index) => list.map((item) => item[index]);
      const lines = ["p50", "p90", "p99"].map((name, index) => ({
        type: "scatter", mode: data.percentiles.length > 1 ? "lines" : "markers", name, x: at(data.percentiles, 0).map((ms) => new Date(ms)), y: at(data.percentiles, index + 1),
        line: { color: colour(`series-${index + 1}`), width: 2, dash: ["solid", "solid", "dot"][index] }, hovertemplate: `${name} %{y:.2f} s<extra></extra>`,
      }));
      const points = {
        type: "scatter", mode: "markers", name: "runs", x: at(data.points, 0).map((ms) => new Date(ms)), y: at(data.points, 1), customdata: at(data.points, 3), text: at(data.points, 2),
        marker: { color: colour("quiet"), size: 5, opacity: 0.45 }, hovertemplate: "%{text}: %{y:.2f} s<extra></extra>",
      };
      const highest = Math.max(data.sla, ...at(data.points, 1)), lowest = Math.min(data.sla, ...at(data.points, 1));
      return {
        traces: [points, ...lines],
        layout: {
          hovermode: "closest",
          yaxis: { type: "log", range: [Math.log10(lowest / 1.6), Math.log10(highest * 1.8)], dtick: 1, ticksuffix: " s", title: { text: "seconds", font: { size: 12, color: colour("quiet") } } },
          shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: data.sla, y1: data.sla, line: { color: colour("bad"), width: 1, dash: "dash" } }],
          annotations: [{ xref: "paper", x: 1, xanchor: "right", y: Math.log10(data.sla), yanchor: "bottom", text: `SLA ${seconds(data.sla)}`, showarrow: false, font: { color: colour("bad"), size: 11 } }],
        },
      };
    }).then(() => {
      if (canvas.dataset.clicks) return;
      canvas.dataset.clicks = "yes";
      canvas.on?.("plotly_click", (event) => { const id = event.points[0]?.customdata; if (id) location.assign(`/runs/${id}`); });
    });
  }
  const charts = () => all("[data-chart=durations]").forEach(durations);

  // What is made of what: the neighbours of a box stand out

  function lineage(picture) {
    const look = (event) => {
      const node = event.target.closest?.("[data-node]")?.dataset.node;
      picture.classList.toggle("looking", Boolean(node));
      all("path", picture).forEach((path) => path.classList.toggle("near", Boolean(node) && [path.dataset.start, path.dataset.end].includes(node)));
    };
    for (const name of ["mouseover", "focusin", "mouseleave", "focusout"]) picture.addEventListener(name, look);
    const open = () => { const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1))); if (target?.tagName === "DETAILS") target.open = true; };
    addEventListener("hashchange", open);
    open();
  }

  function begin() {
    times();
    all("[data-run]").forEach(follow);
    all("#ask").forEach(form);
    all("[role=tablist]").forEach(tabs);
    all(".lineage").forEach(lineage);
    all("[data-compare]").forEach((ask) => ask.addEventListener("submit", (event) => {
      event.preventDefault();
      location.assign(`/runs/${one("select", ask).value}/compare/${ask.dataset.compare}`);
    }));
    charts();
  }

  begin();
  setInterval(times, 10000);
  if (one("[data-live]")) whileSeen(location.pathname === "/" ? 2500 : 5000, keepFresh);
})();
