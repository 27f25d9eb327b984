import type { P4InfoIndex, ProfileInfo, TableInfo } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { canonicalBytes } from '../values.ts';
import { checkBytes } from './check-match.ts';
import { denied, exhausted, invalid, notFound, unsupported } from './fault.ts';
import type { Store } from './store.ts';

/** An action with canonical parameters (section "Action Specification"). @throws Fault INVALID_ARGUMENT */
export function checkAction(index: P4InfoIndex, action: Message<'Action'>): Init<'Action'> {
  const info = index.actions.find(action.actionId);
  if (info === undefined) throw invalid(`there is no action ${action.actionId}`);
  const seen = new Set<number>();
  const params = action.params.map(({ paramId, value }) => {
    const param = info.params.find(paramId);
    if (param === undefined) throw invalid(`${info.name} has no parameter ${paramId}`);
    if (seen.has(paramId)) throw invalid(`${param.name} is given twice`);
    seen.add(paramId);
    return { paramId, value: checkBytes(param, value) };
  });
  if (seen.size < info.params.size) throw invalid(`${info.name} lacks parameters`);
  return { actionId: action.actionId, params: params.sort((a, b) => a.paramId - b.paramId) };
}

function checkScope(table: TableInfo, actionId: number, use: 'entries' | 'default'): void {
  const ref = table.actions.get(actionId);
  if (ref === undefined) throw invalid(`action ${actionId} is none of ${table.name}`);
  if (ref.scope !== 'both' && ref.scope !== use) throw denied(`${ref.action.name} is for ${ref.scope} only`);
}

/** @throws Fault INVALID_ARGUMENT, PERMISSION_DENIED, NOT_FOUND */
export function checkTableAction(
  index: P4InfoIndex,
  store: Store,
  table: TableInfo,
  action: Message<'TableAction'>,
  use: 'entries' | 'default',
): Init<'TableAction'> {
  const profile = table.profileId === 0 ? undefined : index.profiles.find(table.profileId);
  if (action.action !== undefined) {
    if (profile !== undefined) throw invalid(`${table.name} takes members or groups of ${profile.name}`);
    checkScope(table, action.action.actionId, use);
    return { action: checkAction(index, action.action) };
  }
  if (profile === undefined) throw invalid(`${table.name} takes actions only`);
  const { actionProfileMemberId: member, actionProfileGroupId: group, actionProfileActionSet: set } = action;
  if (set !== undefined) return { actionProfileActionSet: checkOneShot(index, store, table, profile, set) };
  if (store.usesOneShots(profile.id) && profile.info.withSelector)
    throw invalid(`${profile.name} holds one-shots, which do not mix with members and groups`);
  if (member !== undefined) {
    if (!store.members(profile.id).has(member)) throw notFound(`${profile.name} has no member ${member}`);
    return { actionProfileMemberId: member };
  }
  if (group === undefined) throw invalid('the action is of no kind');
  if (!store.groups(profile.id).has(group)) throw notFound(`${profile.name} has no group ${group}`);
  return { actionProfileGroupId: group };
}

function checkOneShot(
  index: P4InfoIndex,
  store: Store,
  table: TableInfo,
  profile: ProfileInfo,
  set: Message<'ActionProfileActionSet'>,
): Init<'ActionProfileActionSet'> {
  if (!profile.info.withSelector) throw invalid(`${profile.name} has no selector: it takes no one-shot`);
  if (store.members(profile.id).size > 0 || store.groups(profile.id).size > 0)
    throw invalid(`${profile.name} holds members, which do not mix with one-shots`);
  if (set.actionSelectionMode !== 'DEFAULT_MODE_DETERMINED_BY_ACTION_SELECTOR')
    throw unsupported('action_selection_mode other than the default');
  if (set.sizeSemantics !== 'DEFAULT_SIZE_DETERMINED_BY_ACTION_SELECTOR')
    throw unsupported('size_semantics other than the default');
  const actions = set.actionProfileActions.map((member) => {
    if (member.action === undefined) throw invalid('a member of a one-shot has no action');
    checkScope(table, member.action.actionId, 'entries');
    checkWeight(profile, member.weight);
    return {
      action: checkAction(index, member.action),
      weight: member.weight,
      ...checkWatch(store, member),
    };
  });
  const { load, limit } = groupLoad(profile, actions, profile.info.maxGroupSize);
  if (load > limit) throw invalid(`a group of ${profile.name} has a size of ${limit}, this one ${load}`);
  return { actionProfileActions: actions };
}

/**
 * The port that a member depends on, as it was given: `watch` is the former form of `watch_port`, a number.
 * @throws Fault INVALID_ARGUMENT
 */
export function checkWatch(
  store: Store,
  { watch, watchPort }: Pick<Message<'ActionProfileAction'>, 'watch' | 'watchPort'>,
): Pick<Init<'ActionProfileAction'>, 'watch' | 'watchPort'> {
  if (watch !== undefined) {
    if (watch < 0) throw invalid(`there is no port ${watch}`);
    if (watch > 0) store.checkPort(canonicalBytes(watch));
    return { watch };
  }
  store.checkPort(watchPort);
  return watchPort === undefined ? {} : { watchPort };
}

/** @throws Fault INVALID_ARGUMENT */
export function checkWeight(profile: ProfileInfo, weight: number): void {
  if (profile.info.weightsDisallowed ? weight !== 0 : weight <= 0)
    throw invalid(`a weight of ${weight} is not allowed in ${profile.name}`);
  const most = profile.info.sumOfMembers?.maxMemberWeight ?? 0;
  if (most > 0 && weight > most) throw invalid(`weights of ${profile.name} are at most ${most}`);
}

/** Size of a group: its members, or the sum of their weights; 0 as limit is none but the profile's own. */
export function groupLoad(
  profile: ProfileInfo,
  members: readonly { readonly weight?: number | undefined }[],
  maxSize: number,
): { load: number; limit: number } {
  const byCount = profile.info.sumOfMembers !== undefined || profile.info.weightsDisallowed;
  const load = byCount ? members.length : members.reduce((sum, m) => sum + (m.weight ?? 0), 0);
  return { load, limit: maxSize === 0 ? Number.POSITIVE_INFINITY : maxSize };
}

/** @throws Fault RESOURCE_EXHAUSTED */
export function checkRoom(what: string, size: number, limit: number): void {
  if (limit > 0 && size >= limit) throw exhausted(`${what} is full: it holds ${limit}`);
}
