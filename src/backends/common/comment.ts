/**
 * Text of the user's, such as a layer's name, as it may stand in a comment of C or P4: on one line, in ASCII, and unable to
 * end the comment or to splice the next line into it.
 */
export const commentText = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]/g, '?')
    .replaceAll('*/', '* /')
    .replaceAll('/*', '/ *')
    .replaceAll('\\', '/');
