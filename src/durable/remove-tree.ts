import { closeSync, openSync, readdirSync, rmdirSync, rmSync, unlinkSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoOf } from './errno.ts';
import { FOLDER_FLAGS, hasFolderPaths, inFolder } from './folders.ts';

/**
 * Removes a file, or a folder with all that is in it; nothing where there is none. Each folder is opened before it is gone
 * through, and its entries are named from there, so a folder that somebody swaps for a link meanwhile leads nowhere else.
 * @throws Error of the system call
 */
export function removeTree(path: string): void {
  if (!hasFolderPaths) {
    rmSync(path, { recursive: true, force: true });
    return;
  }
  let parent: number;
  try {
    parent = openSync(dirname(path), 'r');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return;
    throw error;
  }
  try {
    removeIn(parent, basename(path));
  } finally {
    closeSync(parent);
  }
}

function removeIn(parent: number, name: string): void {
  const path = inFolder(parent, name);
  let folder: number;
  try {
    folder = openSync(path, FOLDER_FLAGS);
  } catch (error) {
    const code = errnoOf(error);
    if (code === 'ENOENT') return;
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    unlinkSync(path);
    return;
  }
  try {
    for (const child of readdirSync(inFolder(folder, '.'))) removeIn(folder, child);
  } finally {
    closeSync(folder);
  }
  rmdirSync(path);
}
