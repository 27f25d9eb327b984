import { printableMarkup } from './diagnostics/index.ts';

/** A line of text of a drawing, harmless whatever is in it. @param attributes of SVG, put in as they are */
export const svgText = (x: number | string, y: number | string, content: string, attributes = ''): string =>
  `<text x="${x}" y="${y}" ${attributes}>${printableMarkup(content)}</text>`;
