import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { Fault } from '../fault/fault.ts';

/** A TCP listener that passes raw bytes to a unix socket; TLS ends behind it. */
export interface Relay {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on loopback and joins every connection to the unix socket, half-closes included.
 * @param port 0 takes a free one
 * @param socketPath is read anew for every connection, so the socket may come later and come again
 * Throws {@link Fault} FE005 if the port is taken.
 */
export async function relay(port: number, socketPath: string): Promise<Relay> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const behind = dial({ path: socketPath, allowHalfOpen: true });
    for (const [one, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      open.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      // Either side's failure is the other's end; the peer sees a reset, as it would without a relay.
      one.once('error', () => other.destroy());
      one.once('close', () => open.delete(one));
    }
  });
  await listening(server, port);
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a numeric address');
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') return reject(error);
      const cure = 'choose another with --port, or --port 0 for a free one';
      reject(new Fault('FE005', `127.0.0.1:${port} is already taken`, cure, { cause: error }));
    });
    server.listen(port, '127.0.0.1', resolve);
  });
}
