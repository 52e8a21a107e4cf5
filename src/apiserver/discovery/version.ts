/** The Kubernetes release whose API is served: clients decide by it what they may ask for. */
export const VERSION = {
  major: '1',
  minor: '33',
  gitVersion: 'v1.33.0+fairlead',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;
