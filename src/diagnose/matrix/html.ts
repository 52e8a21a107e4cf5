import { Endpoint } from '../../ip/ip.ts';
import type { Cluster } from '../../world/from-objects/from-objects.ts';
import { specOf } from '../../world/profile.ts';
import { answer } from '../answer.ts';
import { assumptionsOfService } from '../assumptions.ts';
import { causeOf } from '../cause-of.ts';
import { escaped } from '../picture/markup.ts';
import { SVG_STYLE, svgInPage } from '../picture/svg.ts';
import { assumptionsText, nodesText, profileText } from '../profile-text.ts';
import type { Matrix, MatrixCell } from './matrix.ts';
import { PAGE_SCRIPT, PAGE_STYLE } from './page.ts';
import { addressOf, columnsOf, fromOf, nameOf, rowsOf, titleOf } from './rows.ts';
import { clientText, withStandIns } from './stand-ins.ts';

/** Beyond this many cells a page would be too large with a picture each; then a cell tells how to get it. */
const MOST_PICTURES = 300;
const VERDICTS = ['reached', 'refused', 'timeout', 'mixed', 'unknown'] as const;
/** So that nobody has to tell colours apart. */
const SIGNS = { reached: '✓', refused: '✗', timeout: '∅', mixed: '±', unknown: '?' } as const;

/**
 * Matrices as one page that needs nothing from elsewhere: a cell opens its cause, the rule that decides and the way as a
 * picture; what is not looked for can be dimmed by verdict and cause. All of it works from the keyboard.
 */
export function matrixHtml(cluster: Cluster, matrices: readonly Matrix[]): string {
  const cells = matrices.flatMap((matrix) => matrix.cells);
  const context: Context = {
    cluster: withStandIns(cluster),
    isDrawn: cells.length <= MOST_PICTURES,
    popovers: [],
  };
  const tables = matrices.map((matrix) => section(context, matrix));
  const title = matrices.length === 1 ? `svc/${matrices[0]?.service}` : `${matrices.length} Services`;
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">`,
    `<title>${escaped(title)}: who reaches what</title>`,
    `<style>${PAGE_STYLE}${SVG_STYLE}</style></head><body>`,
    `<h1>Who reaches ${escaped(title)}</h1>`,
    `<p class="profile">${escaped(profileText(cluster.profile))}</p>`,
    ...nodesText(cluster.world).map((line) => `<p class="profile">${escaped(line)}</p>`),
    details(cluster),
    filters(cells),
    ...tables,
    ...context.popovers,
    `<script>${PAGE_SCRIPT}</script></body></html>`,
    '',
  ].join('\n');
}

interface Context {
  /** With those who ask. */
  readonly cluster: Cluster;
  readonly isDrawn: boolean;
  /** What cells open, gathered as they are written. */
  readonly popovers: string[];
}

function details({ profile, problems }: Cluster): string {
  const fields = Object.entries(specOf(profile)).map(
    ([key, value]) => `<tr><th scope="row">${escaped(key)}</th><td>${escaped(String(value))}</td></tr>`,
  );
  const assumed = problems.map(
    ({ place, message }) => `<li>${escaped(message)} <code>${escaped(place)}</code></li>`,
  );
  return [
    '<details><summary>Profile and assumptions</summary>',
    `<table class="facts"><tbody>${fields.join('')}</tbody></table>`,
    assumed.length === 0 ? '<p>Nothing was taken for granted beside it.</p>' : `<ul>${assumed.join('')}</ul>`,
    '</details>',
  ].join('');
}

function filters(cells: readonly MatrixCell[]): string {
  const verdicts = VERDICTS.map(
    (verdict) => [verdict, cells.filter((cell) => cell.verdict === verdict).length] as const,
  );
  const causes = new Map(
    cells.flatMap(({ cause }) => (cause === undefined ? [] : [[cause.code, cause.title]])),
  );
  const boxes = verdicts
    .filter(([, count]) => count > 0)
    .map(
      ([verdict, count]) =>
        `<label class="${verdict}"><input type="checkbox" name="verdict" value="${verdict}" checked> ${SIGNS[verdict]} ${verdict} <small>${count}</small></label>`,
    );
  const options = [...causes]
    .sort()
    .map(
      ([code = '', text = '']) => `<option value="${escaped(code)}">${escaped(`${code}: ${text}`)}</option>`,
    );
  return [
    `<form class="filters" aria-label="Show"><fieldset><legend>Verdict</legend>${boxes.join('')}</fieldset>`,
    `<label>Cause <select name="cause"><option value="">any</option>${options.join('')}</select></label>`,
    `<output>${cells.length} of ${cells.length} cells</output></form>`,
  ].join('');
}

function section(context: Context, matrix: Matrix): string {
  const { service, cells } = matrix;
  const columns = columnsOf(matrix);
  const assumed = assumptionsText(assumptionsOfService(context.cluster, service));
  const head = columns.map(
    (kind) => `<th scope="col">${kind}<small>${escaped(fromOf(cells, kind))}</small></th>`,
  );
  const rows = rowsOf(matrix).map((row) => {
    const boxes = columns.map((kind) =>
      cellHtml(
        context,
        service,
        row.find(({ client }) => client === kind),
      ),
    );
    return `<tr><th scope="row">${escaped(nameOf(row))}<small>${escaped(addressOf(row))}</small></th>${boxes.join('')}</tr>`;
  });
  return [
    `<section><h2>svc/${escaped(service)} <small>${escaped(titleOf(context.cluster.services.get(service)))}</small></h2>`,
    ...assumed.map((line) => `<p class="profile">${escaped(line)}</p>`),
    `<div class="scroll"><table class="matrix"><thead><tr><td></td>${head.join('')}</tr></thead>`,
    `<tbody>${rows.join('\n')}</tbody></table></div></section>`,
  ].join('\n');
}

function cellHtml(context: Context, service: string, cell: MatrixCell | undefined): string {
  if (cell === undefined) return '<td class="none">–</td>';
  const { verdict, cause, observed } = cell;
  const id = `cell-${context.popovers.length}`;
  context.popovers.push(popover(context, service, cell, id));
  const code = cause === undefined ? '' : `<small>${escaped(cause.code)}</small>`;
  const seen =
    observed === undefined
      ? ''
      : `<small>${observed.agrees ? '= kernel' : `≠ kernel: ${observed.verdict}`}</small>`;
  const why = cause === undefined ? verdict : `${verdict}, ${cause.code}: ${cause.title}`;
  return `<td><button type="button" class="${verdict}" popovertarget="${id}" data-verdict="${verdict}" data-cause="${escaped(cause?.code ?? '')}" title="${escaped(why)}"><b aria-hidden="true">${SIGNS[verdict]}</b> ${verdict}${code}${seen}</button></td>`;
}

function popover(context: Context, service: string, cell: MatrixCell, id: string): string {
  const { client, from, target, address, verdict, cause, sourceSeen, endpoints, protocol } = cell;
  const facts = [
    ...(endpoints.length === 0 ? [] : [`answered by ${endpoints.join(', ')}`]),
    ...(sourceSeen.length === 0 ? [] : [`which sees ${sourceSeen.join(', ')}`]),
  ];
  return [
    `<div popover id="${id}" class="cell"><button type="button" class="close" popovertarget="${id}" popovertargetaction="hide" aria-label="Close">×</button>`,
    `<h3><span class="sign ${verdict}">${SIGNS[verdict]} ${verdict}</span> ${escaped(client)} → ${escaped(target)} of svc/${escaped(service)}</h3>`,
    `<p>${escaped(clientText(from))} dials ${escaped(address)}/${protocol}${facts.length === 0 ? '' : `; ${escaped(facts.join(', '))}`}</p>`,
    ...(cause === undefined || context.isDrawn
      ? []
      : [`<p><b>${escaped(cause.code)}</b>: ${escaped(cause.title)}</p>`]),
    context.isDrawn ? pictureOf(context.cluster, cell) : commandOf(cell),
    '</div>',
  ].join('');
}

function pictureOf(cluster: Cluster, { from, address, protocol }: MatrixCell): string {
  const { addr, port } = Endpoint.parse(address);
  const question = {
    client: { name: clientText(from), host: from, isInside: true },
    target: { name: address, addresses: [addr], port, protocol },
  };
  return `<div class="scroll">${svgInPage(cluster, answer(cluster, question, causeOf))}</div>`;
}

const commandOf = ({ from, address, protocol }: MatrixCell): string =>
  `<p>The way: <code>fairlead why host/${escaped(from)} ${escaped(address)}${protocol === 'TCP' ? '' : `/${protocol.toLowerCase()}`} …</code></p>`;
