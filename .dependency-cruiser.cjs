/**
 * The layering of src/: a room may import the rooms before it in this list, never one after it. Pure rooms run in a
 * browser, so they import nothing from node:. Only `exec` starts processes.
 */
const rooms = [
  'fault',
  'ip',
  'netfilter',
  'kube',
  'proxy',
  'world',
  'trace',
  'diagnose',
  'store',
  'client',
  'exec',
  'apiserver',
  'controllers',
  'balancer',
  'dns',
  'lab',
  'kubelet',
  'sync',
  'cluster',
  'web',
  'cli',
];
const pure = rooms.slice(0, rooms.indexOf('store'));

const climbs = rooms.map((room, at) => ({
  name: `${room}-does-not-climb`,
  comment: `${room} sits below the rooms it would import here; turn the dependency round or move the code down`,
  severity: 'error',
  from: { path: `^src/${room}/` },
  to: { path: '^src/', pathNot: `^src/(${rooms.slice(0, at + 1).join('|')})/` },
}));

module.exports = {
  forbidden: [
    ...climbs,
    {
      name: 'pure-rooms-have-no-effects',
      severity: 'error',
      from: { path: `^src/(${pure.join('|')})/`, pathNot: '/test-[^/]*\\.ts$|\\.test\\.ts$' },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'only-exec-starts-processes',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/exec/' },
      to: { path: '^(node:)?child_process$|node_modules/@lydell/node-pty' },
    },
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'a-room-is-listed',
      comment: 'a new folder of src/ takes its place in the list above first',
      severity: 'error',
      from: { path: '^src/', pathNot: `^src/(${rooms.join('|')})/` },
      to: {},
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.d.ts'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
};
