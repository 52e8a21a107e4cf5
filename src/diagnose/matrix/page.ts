/** What the page of matrices looks like: light or dark as its reader prefers. */
export const PAGE_STYLE = `
:root{color-scheme:light dark;--ink:#1f2328;--quiet:#656d76;--line:#d0d7de;--paper:#fff;--box:#f6f8fa;
--reached:#1a7f37;--refused:#cf222e;--timeout:#cf222e;--mixed:#9a6700;--unknown:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9198a1;--line:#3d444d;--paper:#0d1117;--box:#161b22;
--reached:#3fb950;--refused:#ff7b72;--timeout:#ff7b72;--mixed:#d29922;--unknown:#d29922}}
body{font:14px/1.45 system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:var(--ink);background:var(--paper);margin:2rem auto;max-width:76rem;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .25rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:0 2rem .5rem 0}
small,.profile{color:var(--quiet);font-weight:normal}.profile{margin:0}code{font:12px ui-monospace,"DejaVu Sans Mono",monospace}
details{margin:.75rem 0}summary{cursor:pointer}.facts th{text-align:left;padding:.1rem 1rem .1rem 0;font-weight:600}
.filters{position:sticky;top:0;z-index:1;background:var(--paper);border-bottom:1px solid var(--line);padding:.5rem 0;display:flex;flex-wrap:wrap;gap:.5rem 1.5rem;align-items:center}
.filters fieldset{border:0;margin:0;padding:0;display:flex;flex-wrap:wrap;gap:.25rem 1rem}.filters legend{float:left;margin-right:1rem}.filters select{max-width:28rem;font:inherit}
.filters .reached{color:var(--reached)}.filters .refused,.filters .timeout{color:var(--refused)}.filters .mixed,.filters .unknown{color:var(--mixed)}
.scroll{overflow-x:auto}.matrix{border-collapse:collapse}.matrix th{font-weight:600;text-align:left;padding:.35rem .75rem .35rem 0;white-space:nowrap;vertical-align:bottom}
.matrix th small,button small{display:block;font-size:11px}.matrix tbody tr{border-top:1px solid var(--line)}.matrix td{padding:.2rem .3rem .2rem 0}.none{color:var(--quiet);text-align:center}
td button{font:inherit;width:100%;min-width:7.5rem;text-align:left;padding:.3rem .6rem;border:1px solid var(--line);border-left-width:4px;border-radius:5px;background:var(--box);color:inherit;cursor:pointer}
button:hover{background:var(--paper)}:focus-visible{outline:2px solid #0969da;outline-offset:1px}
button.reached{border-left-color:var(--reached)}button.refused,button.timeout{border-left-color:var(--refused)}button.mixed,button.unknown{border-left-color:var(--mixed)}
button.reached b,.sign.reached{color:var(--reached)}button.refused b,button.timeout b,.sign.refused,.sign.timeout{color:var(--refused)}button.mixed b,button.unknown b,.sign.mixed,.sign.unknown{color:var(--mixed)}
button.dimmed{opacity:.2}.cell{border:1px solid var(--line);border-radius:8px;background:var(--paper);color:inherit;padding:1rem 1.25rem;max-width:min(96vw,84rem);max-height:90vh;overflow:auto;box-shadow:0 8px 32px #0006}
.cell::backdrop{background:#0005}.cell p{margin:.25rem 0}.cell svg{max-width:none;height:auto}.close{float:right;border:0;background:none;font-size:1.4rem;line-height:1;color:var(--quiet);cursor:pointer}
@media print{.filters,.cell{display:none}}
`;

/** Dims what is not looked for, and lets arrow keys move from cell to cell. */
export const PAGE_SCRIPT = `
const form = document.querySelector('.filters');
const cells = [...document.querySelectorAll('td button')];
form.addEventListener('change', () => {
  const verdicts = new FormData(form).getAll('verdict');
  const cause = form.elements.cause.value;
  let shown = 0;
  for (const cell of cells) {
    const fits = verdicts.includes(cell.dataset.verdict) && (cause === '' || cell.dataset.cause === cause);
    cell.classList.toggle('dimmed', !fits);
    shown += fits;
  }
  form.querySelector('output').value = shown + ' of ' + cells.length + ' cells';
});
document.addEventListener('keydown', (event) => {
  const td = event.target.closest?.('td');
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  if (!td || !step) return;
  const row = td.parentElement;
  const rows = [...row.parentElement.rows];
  const next = rows[rows.indexOf(row) + step[0]]?.cells[td.cellIndex + step[1]]?.querySelector('button');
  if (next) { event.preventDefault(); next.focus(); }
});
`;
