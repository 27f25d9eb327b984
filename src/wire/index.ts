export * from './codec.ts';
export * from './frame.ts';
export * from './header.ts';
