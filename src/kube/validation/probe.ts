/** Probes and lifecycle hooks: exactly one handler each. */
import type { Container, Probe } from '../objects.ts';
import { checkFormat, checkNotNegative, checkOneOf, checkPort, checkPortNumber } from './checks.ts';
import { type FieldError, forbidden, invalid, required } from './field-error.ts';
import { httpHeaderName } from './formats.ts';

interface Handler {
  readonly exec?: { readonly command?: readonly string[] };
  readonly httpGet?: {
    readonly path?: string;
    readonly port: number | string;
    readonly scheme?: string;
    readonly httpHeaders?: readonly { readonly name: string }[];
  };
  readonly tcpSocket?: { readonly port: number | string };
  readonly grpc?: { readonly port: number };
  readonly sleep?: { readonly seconds: number };
}

type Handlers = Required<Handler>;
type Check<K extends keyof Handlers> = (field: string, handler: Handlers[K], grace?: number) => FieldError[];

/** How each kind of handler is checked, in upstream's order. */
const HANDLERS: { readonly [K in keyof Handlers]: Check<K> } = {
  exec: (field, exec) => ((exec.command ?? []).length === 0 ? [required(`${field}.command`)] : []),
  httpGet: (field, http) => [
    ...((http.path ?? '') === '' ? [required(`${field}.path`)] : []),
    ...checkPort(`${field}.port`, http.port ?? 0),
    ...checkOneOf(`${field}.scheme`, http.scheme, ['HTTP', 'HTTPS']),
    ...(http.httpHeaders ?? []).flatMap(({ name }) =>
      checkFormat(`${field}.httpHeaders`, name, httpHeaderName),
    ),
  ],
  tcpSocket: (field, tcp) => checkPort(`${field}.port`, tcp.port ?? 0),
  grpc: (field, grpc) => checkPortNumber(`${field}.port`, grpc.port ?? 0),
  sleep: (field, { seconds }, grace) =>
    grace === undefined || (seconds >= 0 && seconds <= grace)
      ? []
      : [
          invalid(
            field,
            seconds,
            `must be non-negative and less than terminationGracePeriodSeconds (${grace})`,
          ),
        ],
};

/** The errors of the handler of that kind; undefined when there is none. */
function checkOne<K extends keyof Handlers>(
  kind: K,
  field: string,
  handler: Partial<Handlers>,
  grace?: number,
): FieldError[] | undefined {
  const one: Handlers[K] | undefined = handler[kind];
  return one === undefined ? undefined : HANDLERS[kind](`${field}.${kind}`, one, grace);
}

function checkHandler(field: string, handler: Handler, grace?: number): FieldError[] {
  const given = (Object.keys(HANDLERS) as (keyof Handlers)[]).flatMap((key) => {
    const errors = checkOne(key, field, handler, grace);
    return errors === undefined ? [] : [{ key, errors }];
  });
  const [first, ...others] = given;
  if (first === undefined) return [required(field, 'must specify a handler type')];
  return [
    ...first.errors,
    ...others.map(({ key }) => forbidden(`${field}.${key}`, 'may not specify more than 1 handler type')),
  ];
}

const COUNTS = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const;

function checkProbe(field: string, probe: Probe): FieldError[] {
  const errors = [
    ...checkHandler(field, probe as Handler),
    ...COUNTS.flatMap((key) => checkNotNegative(`${field}.${key}`, probe[key])),
  ];
  const seconds = probe.terminationGracePeriodSeconds;
  return seconds === undefined || seconds > 0
    ? errors
    : [...errors, invalid(`${field}.terminationGracePeriodSeconds`, seconds, 'must be greater than 0')];
}

/** A failing liveness or startup probe restarts the container, so one success must be enough. */
function checkRestartingProbe(field: string, probe: Probe): FieldError[] {
  const errors = checkProbe(field, probe);
  return probe.successThreshold === 1
    ? errors
    : [...errors, invalid(`${field}.successThreshold`, probe.successThreshold ?? 0, 'must be 1')];
}

function checkReadinessProbe(field: string, probe: Probe): FieldError[] {
  const errors = checkProbe(field, probe);
  const seconds = probe.terminationGracePeriodSeconds;
  return seconds === undefined
    ? errors
    : [
        ...errors,
        invalid(`${field}.terminationGracePeriodSeconds`, seconds, 'must not be set for readinessProbes'),
      ];
}

/** The hooks and probes of a container that keeps running. */
export function checkHooks(field: string, container: Container, grace?: number): FieldError[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container;
  const errors: FieldError[] = [];
  for (const hook of ['postStart', 'preStop'] as const) {
    const handler = lifecycle?.[hook];
    if (handler !== undefined) {
      errors.push(...checkHandler(`${field}.lifecycle.${hook}`, handler as Handler, grace));
    }
  }
  if (livenessProbe !== undefined) {
    errors.push(...checkRestartingProbe(`${field}.livenessProbe`, livenessProbe));
  }
  if (readinessProbe !== undefined) {
    errors.push(...checkReadinessProbe(`${field}.readinessProbe`, readinessProbe));
  }
  if (startupProbe !== undefined) {
    errors.push(...checkRestartingProbe(`${field}.startupProbe`, startupProbe));
  }
  return errors;
}

/** What an init container, which runs to its end, cannot have. */
export const checkNoHooks = (field: string, container: Container): FieldError[] =>
  (['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
    .filter((key) => container[key] !== undefined)
    .map((key) =>
      forbidden(`${field}.${key}`, 'may not be set for init containers without restartPolicy=Always'),
    );
