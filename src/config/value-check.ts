import { addressFamily, parseAddress, parsePrefix } from '../model/address.ts';
import type { ValueType } from './schema-node.ts';
import { nearestWord } from './suggestion.ts';

const INTERFACE_NAME = /^[a-z]+[a-z0-9-]*(?:\/\d+)*(?::\d+)?(?:\.(?:\d+|\*))?$/i;
const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*\.?$/i;

/** What is wrong with a value, and the word that was probably meant. */
export interface ValueFault {
  readonly message: string;
  readonly meant?: string;
}

/** Says what is wrong with `value`, or nothing. Within groups `<*>` and its kin stand for names (`isPattern`). */
export function checkValue(type: ValueType, value: string, isPattern: boolean): ValueFault | undefined {
  if (/^<.*>$/.test(value)) {
    if (isPattern) return undefined;
    if (type.kind !== 'text')
      return { message: `'${value}' is a placeholder: put the real value in (${describeType(type)})` };
  }
  switch (type.kind) {
    case 'text':
      return checkLength(value, type.min, type.max);
    case 'reference':
      return checkLength(value, 1, type.max);
    case 'number':
      return checkNumber(type, value);
    case 'choice':
      return checkChoice(Object.keys(type.options), value);
    case 'address':
      return checkAddress(value, type.family);
    case 'prefix':
      return checkPrefix(value, type.isBare);
    case 'host':
      return checkHost(value);
    case 'interface':
      return checkInterface(value, type.needsUnit);
  }
}

/** What may be written, in a few words: for help, completion and errors. */
export function describeType(type: ValueType): string {
  switch (type.kind) {
    case 'text':
      return type.max >= 4096 ? 'text' : `text of ${type.min} to ${type.max} characters`;
    case 'reference':
      return `name of a \`${type.to.join(' ')}\``;
    case 'number':
      return `${type.min}..${type.max}${type.unit === undefined ? '' : ` ${type.unit}`}`;
    case 'choice':
      return Object.keys(type.options).join(' | ');
    case 'address':
      return type.family === undefined ? 'IPv4 or IPv6 address' : `IPv${type.family} address`;
    case 'prefix':
      return type.isBare ? 'address or prefix' : 'prefix, address/length';
    case 'host':
      return 'address or host name';
    case 'interface':
      return type.needsUnit ? 'interface with unit, such as ge-0/0/0.0' : 'interface';
  }
}

/** Splits `st0.3` into its interface and unit; the unit is 0 where none is said, as Junos has it. */
export function splitInterface(name: string): { readonly device: string; readonly unit: string } {
  const dot = name.lastIndexOf('.');
  return dot < 0 ? { device: name, unit: '0' } : { device: name.slice(0, dot), unit: name.slice(dot + 1) };
}

function checkLength(value: string, min: number, max: number): ValueFault | undefined {
  if (value.length >= min && value.length <= max) return undefined;
  return { message: `must be ${min} to ${max} characters long, not ${value.length}` };
}

function checkNumber(type: ValueType & { kind: 'number' }, value: string): ValueFault | undefined {
  if (!/^\d+$/.test(value)) return { message: `'${value}' is not a number (${describeType(type)})` };
  const count = Number(value);
  if (count >= type.min && count <= type.max) return undefined;
  return { message: `value ${value} is not within range (${describeType(type)})` };
}

function checkChoice(allowed: readonly string[], value: string): ValueFault | undefined {
  if (allowed.includes(value)) return undefined;
  const meant = nearestWord(value, allowed);
  return { message: `invalid value '${value}' (one of ${allowed.join(', ')})`, ...(meant !== undefined && { meant }) };
}

function checkAddress(value: string, family: 4 | 6 | undefined): ValueFault | undefined {
  const parsed = parseAddress(value);
  if (parsed === undefined) return { message: `invalid address '${value}'` };
  if (family === undefined || addressFamily(parsed) === family) return undefined;
  return { message: `'${value}' is not an IPv${family} address` };
}

function checkPrefix(value: string, isBare: boolean): ValueFault | undefined {
  if (parsePrefix(value) === undefined) return { message: `invalid prefix '${value}'` };
  return isBare || value.includes('/')
    ? undefined
    : { message: `'${value}' needs a prefix length, such as ${value}/32` };
}

function checkHost(value: string): ValueFault | undefined {
  if (parseAddress(value) !== undefined) return undefined;
  // Digits and dots (or anything with a colon) were meant as an address, though a resolver might take them as a name.
  // So was what somebody wrote instead of an address: `203.x.x.x`.
  if (/^[\d.]+$/.test(value) || value.includes(':') || /^\d+(\.(\d+|x+)){3}$/i.test(value))
    return { message: `invalid address '${value}'` };
  return HOST_NAME.test(value) ? undefined : { message: `'${value}' is neither an address nor a host name` };
}

function checkInterface(value: string, needsUnit: boolean): ValueFault | undefined {
  if (!INTERFACE_NAME.test(value)) return { message: `invalid interface name '${value}'` };
  if (!needsUnit || value.includes('.')) return undefined;
  return { message: `'${value}' needs a logical unit, such as ${value}.0`, meant: `${value}.0` };
}
