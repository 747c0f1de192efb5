import { container, flag, leaf, list, number, options, type SchemaNode, TEXT, text } from './schema-node.ts';

/** `traceoptions`: we log everything that it could ask for, so that it changes nothing. */
export function tracing(
  help: string,
  flags: Readonly<Record<string, string>>,
  more: readonly SchemaNode[] = [],
): SchemaNode {
  return container(
    'traceoptions',
    help,
    [
      flag('no-remote-trace', 'Do not trace to another machine'),
      container(
        'file',
        'File to trace to',
        [
          leaf('size', 'Size at which a new file starts', TEXT),
          leaf('files', 'Files to keep', number(2, 1000), { default: '3' }),
          flag('world-readable', 'Everybody may read it', { choice: 'readers' }),
          flag('no-world-readable', 'Only the owner may read it', { choice: 'readers' }),
          leaf('match', 'Only lines that match', TEXT),
        ],
        { layout: 'one-line', positional: { name: 'filename', value: text(1024) } },
      ),
      list('flag', 'What to trace', options(flags), [], { layout: 'one-line' }),
      ...more,
    ],
    { noEffect: 'the log says what tracing would' },
  );
}
