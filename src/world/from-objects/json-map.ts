/** The map that somebody wrote as JSON into an annotation or a ConfigMap; text that is none, or none of a map, says nothing. */
export function jsonMap(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text ?? '{}');
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
