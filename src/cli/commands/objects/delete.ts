import { type Kind, kindNamed } from '../../../daemon/manifests/kind-names.ts';
import { refuse } from '../../../diagnostics/index.ts';
import { type Io, printJson, printLine } from '../../io.ts';
import { defineCommand, jsonOption, lastTextOption } from '../../options.ts';
import { UsageError } from '../../usage.ts';
import { controllerOptions, fileOption, pathOf, targetsOf, withController } from './common.ts';

interface Named {
  readonly kind: string;
  readonly name: string;
}

/** `delete KIND NAME`, `delete -f FILE` */
export const deleteCommand = (io: Io) =>
  defineCommand({
    command: 'delete [what..]',
    describe:
      'Have the controller delete objects, all of them or none: KIND NAME..., KIND/NAME..., or those of -f FILE',
    builder: (y) =>
      controllerOptions(fileOption(jsonOption(y)))
        .positional('what', { type: 'string', array: true, describe: 'KIND NAME..., or KIND/NAME...' })
        .option('dry-run', { type: 'boolean', default: false, describe: 'Say what would go; change nothing' })
        .option('resource-version', lastTextOption('Of one object: only this version of it')),
    async handler(a) {
      const words = (a.what ?? []).map(String);
      if ((words.length === 0) === (a.file === undefined))
        throw new UsageError('name objects, or files with -f');
      const objects = words.length === 0 ? await objectsOfFiles(a.file!) : named(words);
      const { resourceVersion } = a;
      if (resourceVersion !== undefined && objects.length !== 1)
        throw new UsageError('--resource-version is of one object');
      const dryRun = a.dryRun ? '?dryRun=true' : '';
      const deleted = await withController(a, async (client) => {
        if (resourceVersion === undefined)
          return (
            await client.send<{ readonly deleted: readonly Named[] }>(
              'POST',
              `/api/v1alpha1/delete${dryRun}`,
              { objects },
            )
          ).deleted;
        const query = new URLSearchParams({ resourceVersion, ...(a.dryRun && { dryRun: 'true' }) });
        await client.send('DELETE', `${pathOf(objects[0]!)}?${query}`);
        return objects;
      });
      if (a.json) return printJson(io, { dryRun: a.dryRun, deleted });
      for (const { kind, name } of deleted)
        printLine(io, `${kind}/${name} ${a.dryRun ? 'would be deleted' : 'deleted'}`);
    },
  });

function named(words: readonly string[]): readonly { readonly kind: Kind; readonly name: string }[] {
  return targetsOf(words).map(({ kind, name }) => {
    if (name === undefined) throw new UsageError(`name the ${kind} to delete`);
    return { kind, name };
  });
}

/** Of manifests only what they are called matters. */
async function objectsOfFiles(files: readonly string[]) {
  const { readDocuments } = await import('../../../daemon/client/index.ts');
  return readDocuments(files).map(({ value, place }) => {
    const document = value as {
      readonly kind?: unknown;
      readonly metadata?: { readonly name?: unknown } | null;
    } | null;
    const kind = typeof document?.kind === 'string' ? kindNamed(document.kind) : undefined;
    const name = document?.metadata?.name;
    if (kind === undefined || typeof name !== 'string')
      return refuse('manifest-field', { expected: 'expected kind and metadata.name' }, { file: place([]) });
    return { kind, name };
  });
}
