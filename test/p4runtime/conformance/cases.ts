import type { Case } from './case.ts';
import { arbitrationCases } from './cases-arbitration.ts';
import { directCases } from './cases-direct.ts';
import { pipelineCases } from './cases-pipeline.ts';
import { cellCases, profileCases } from './cases-profiles.ts';
import { infoCases, readCases } from './cases-read.ts';
import { replicationCases, streamCases } from './cases-stream.ts';
import { tableCases } from './cases-tables.ts';
import { valueCases } from './cases-values.ts';
import { writeCases } from './cases-write.ts';

const written: readonly Case[] = [
  ...valueCases,
  ...arbitrationCases,
  ...pipelineCases,
  ...writeCases,
  ...tableCases,
  ...directCases,
  ...profileCases,
  ...cellCases,
  ...replicationCases,
  ...streamCases,
  ...readCases,
  ...infoCases,
];

/** The list, in order. */
export const cases: readonly Case[] = written.map(({ primary, ...of }) =>
  primary === undefined ? of : { ...of, server: async (t) => primary(t, await t.ready()) },
);
