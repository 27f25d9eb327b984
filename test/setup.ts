/** Runs before each file of tests, also where many share a process and its modules. */
import { afterAll } from 'vitest';
import { endFile } from './support/at-end.ts';

afterAll(endFile);
