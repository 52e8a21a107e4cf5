import { ApiError } from '../client/client.ts';

/** The server refuses new content: the namespace is being deleted, and all that would ask for content with it. */
export const isNamespaceEnding = (error: unknown): boolean =>
  error instanceof ApiError &&
  (error.status.details?.causes?.some(({ reason }) => reason === 'NamespaceTerminating') ?? false);

/** Runs a sync; that its namespace ends is no failure, and trying again would not help. */
export async function unlessNamespaceEnds(sync: () => Promise<void>): Promise<void> {
  try {
    await sync();
  } catch (error) {
    if (!isNamespaceEnding(error)) throw error;
  }
}
