/** What outlives a process, or must not: files that are whole or not there, logs, locks, private folders. */
export { type AtomicFile, atomicFile, type ReplaceOptions, replaceFile } from './atomic-file.ts';
export { errnoOf, messageOf } from './errno.ts';
export { ensureFolder, FOLDER_FLAGS, hasFolderPaths, inFolder, isPrivate, privateBase } from './folders.ts';
export { type Lock, lockFile } from './lock.ts';
export { isOwnerGone, OWNER_PATTERN, ownerMark } from './owner.ts';
export { type LogContents, type LogRecord, LogUncertainError, RecordLog } from './record-log.ts';
export { removeTree } from './remove-tree.ts';
