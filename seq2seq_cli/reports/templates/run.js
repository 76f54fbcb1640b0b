const number = text => parseFloat(text.replace(/[<>]/, ""));
const byId = id => document.getElementById(id);

function element(tag, classes, text) {
  const node = document.createElement(tag);
  node.className = classes;
  node.textContent = text;
  return node;
}

// Rows of a name, a bar and a text.
function bars(rows) {
  return rows.map(([name, width, text, classes]) => {
    const row = element("tr", classes, "");
    const bar = element("div", "bar", "");
    bar.style.width = `${width}%`;
    const cell = element("td", "track", "");
    cell.append(bar);
    row.append(element("th", "", name), cell, element("td", "", text));
    row.firstChild.scope = "row";
    return row;
  });
}

// All cells, or of many those around a position, after a note of which they are.
function around(position, cells, first, n) {
  const most = 60;
  if (n <= most) return cells;
  const from = Math.max(0, Math.min(position - most / 2, cells.length - most));
  const shown = cells.slice(from, from + most);
  const note = `tokens ${first + from} to ${first + from + shown.length - 1} of ${n}:`;
  return [element("small", "", note), ...shown];
}

// The source's tokens, shaded by their weights.
function sourceCells(source, weights) {
  const cells = source.map(token => element("span", "cell", token));
  const sizes = weights.map(([, text]) => number(text));
  weights.forEach(([position, text], i) => {
    cells[position].style.setProperty("--weight", `${sizes[i] / 2}%`);
    cells[position].append(element("small", "", text));
  });
  const peak = sizes.length ? weights[sizes.indexOf(Math.max(...sizes))][0] : 0;
  return around(peak, cells, 1, source.length);
}

function startStepper(sequences) {
  const [choice, slider, before, after] = ["sequence", "step", "before", "after"].map(byId);
  let at = 0;

  function show() {
    const { source, first, n, steps } = sequences[choice.value];
    at = Math.max(0, Math.min(at, steps.length - 1));
    const step = steps[at];
    const isRight = step.chosen === step.expected;
    slider.min = first;
    slider.max = first + steps.length - 1;
    slider.value = first + at;
    slider.setAttribute("aria-valuetext", `${first + at} of ${n}`);
    before.disabled = at === 0;
    after.disabled = at === steps.length - 1;
    byId("said").textContent = `Step ${first + at} of ${n}: reads ${step.read}, chooses ${step.chosen}, `
      + (isRight ? "as expected." : `but ${step.expected} is expected.`);
    byId("said").className = isRight ? "" : "wrong";
    byId("ranked").replaceChildren(...bars(step.ranked.map(([token, text]) => [
      token, number(text),
      text + (token === step.chosen ? " chosen" : "") + (token === step.expected && !isRight ? " expected" : ""),
      token === step.chosen ? "chosen" : "",
    ])));
    byId("source").replaceChildren(...sourceCells(source, step.attention || []));
    byId("units")?.replaceChildren(...bars(step.units.map(([unit, old, now]) => [
      `unit ${unit}`, Math.abs(now - old) * 50, `${old.toFixed(2)} → ${now.toFixed(2)}`, "",
    ])));
    const target = steps.map(({ chosen, expected }, i) => {
      const isWrong = chosen !== expected;
      const cell = element("button", isWrong ? "cell wrong" : "cell", chosen + (isWrong ? "!" : ""));
      cell.type = "button";
      cell.tabIndex = -1; // the slider has the keyboard
      if (i === at) cell.setAttribute("aria-current", "step");
      cell.onclick = () => go(i);
      return cell;
    });
    byId("target").replaceChildren(...around(at, target, first, n));
  }

  function go(to) {
    at = to;
    show();
  }

  choice.onchange = () => go(0);
  slider.oninput = () => go(slider.value - slider.min);
  before.onclick = () => go(at - 1);
  after.onclick = () => go(at + 1);
  byId("stepper").onkeydown = event => {
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: Infinity }[event.key];
    if (to === undefined || event.target === choice || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    go(to);
  };
  show();
  byId("stepper").hidden = false;
  document.querySelectorAll("#step-by-step details").forEach(each => { each.open = false; });
}

if (byId("steps")) startStepper(JSON.parse(byId("steps").textContent));

document.querySelectorAll("button.copy").forEach(button => {
  button.hidden = false;
  button.onclick = async () => {
    const content = byId(button.dataset.of);
    getSelection().selectAllChildren(content);
    try {
      await navigator.clipboard.writeText(content.textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Selected: press Ctrl+C";
    }
  };
});
