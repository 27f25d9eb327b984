import { expect, it } from 'vitest';
import { commentText } from '../../../src/backends/common/comment.ts';

it('lets no name out of its comment', () => {
  expect(commentText('fc1 */ int evil; /*')).toBe('fc1 * / int evil; / *');
  expect(commentText('line\nbreak\\')).toBe('line?break/');
  expect(commentText('Gemm_3')).toBe('Gemm_3');
});
