#!/usr/bin/env node
import { bundledProgram } from './bundled.ts';

const { main } = bundledProgram(process.argv[2]) ?? (await import('./program.ts'));
await main();
