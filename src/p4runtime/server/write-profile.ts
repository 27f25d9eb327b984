import type { ProfileInfo } from '../p4info-index.ts';
import type { Init, Message } from '../proto/messages.ts';
import { checkAction, checkRoom, checkWatch, checkWeight, groupLoad } from './check-action.ts';
import { exhausted, exists, invalid, notFound, precondition } from './fault.ts';
import { change, type Prepared, prepared, type UpdateType, type WriteContext } from './write-context.ts';

function profileOf({ index, store }: WriteContext, id: number): ProfileInfo {
  const profile = id === 0 ? undefined : index.profiles.find(id);
  if (profile === undefined) throw invalid(`there is no action profile ${id}`);
  if (profile.info.withSelector && store.usesOneShots(id))
    throw invalid(`${profile.name} holds one-shots, which do not mix with members and groups`);
  return profile;
}

/** Only what is not there is inserted, and only what is there is changed. @throws Fault ALREADY_EXISTS, NOT_FOUND */
function checkThere(type: UpdateType, { name }: ProfileInfo, what: string, old: object | undefined): void {
  if (type === 'INSERT' && old !== undefined) throw exists(`${name} has ${what}`);
  if (type !== 'INSERT' && old === undefined) throw notFound(`${name} has no ${what}`);
}

/** Section "Action Profile Member Programming". */
export function prepareMember(
  context: WriteContext,
  type: UpdateType,
  member: Message<'ActionProfileMember'>,
): Prepared {
  const { index, store } = context;
  const profile = profileOf(context, member.actionProfileId);
  const members = store.members(profile.id);
  const { memberId } = member;
  const old = members.get(memberId);
  checkThere(type, profile, `member ${memberId}`, old);
  if (type === 'DELETE') {
    requireUnused(context, profile, memberId);
    const entity = { actionProfileMember: old! };
    return prepared(type, entity, entity, () => change(members, memberId, undefined));
  }
  if (member.action === undefined) throw invalid('a member needs an action');
  if (!profile.actionIds.has(member.action.actionId))
    throw invalid(`action ${member.action.actionId} is none of the tables of ${profile.name}`);
  const entity = { actionProfileId: profile.id, memberId, action: checkAction(index, member.action) };
  if (type === 'INSERT') checkRoom(profile.name, members.size, Number(profile.info.size));
  return prepared(type, { actionProfileMember: entity }, { actionProfileMember: old ?? entity }, () =>
    change(members, memberId, entity),
  );
}

function requireUnused({ store }: WriteContext, profile: ProfileInfo, memberId: number): void {
  for (const group of store.groups(profile.id).values())
    if (group.members?.some((m) => m.memberId === memberId))
      throw precondition(`member ${memberId} is in group ${group.groupId}`);
  if (isNamed(profile, { store }, (action) => action.actionProfileMemberId === memberId))
    throw precondition(`an entry names member ${memberId}`);
}

const isNamed = (
  profile: ProfileInfo,
  { store }: Pick<WriteContext, 'store'>,
  find: (action: Init<'TableAction'>) => boolean,
): boolean =>
  profile.info.tableIds.some((id) =>
    [...store.entries(id).values()].some((e) => e.action !== undefined && find(e.action)),
  );

/** Section "Action Profile Group Programming". */
export function prepareGroup(
  context: WriteContext,
  type: UpdateType,
  group: Message<'ActionProfileGroup'>,
): Prepared {
  const { store } = context;
  const profile = profileOf(context, group.actionProfileId);
  if (!profile.info.withSelector) throw invalid(`${profile.name} has no selector, so no groups`);
  const groups = store.groups(profile.id);
  const { groupId } = group;
  const old = groups.get(groupId);
  checkThere(type, profile, `group ${groupId}`, old);
  if (type === 'DELETE') {
    if (isNamed(profile, context, (action) => action.actionProfileGroupId === groupId))
      throw precondition(`an entry names group ${groupId}`);
    const entity = { actionProfileGroup: old! };
    return prepared(type, entity, entity, () => change(groups, groupId, undefined));
  }
  const entity = checkGroup(context, profile, group, old);
  return prepared(type, { actionProfileGroup: entity }, { actionProfileGroup: old ?? entity }, () =>
    change(groups, groupId, entity),
  );
}

function checkGroup(
  { store }: WriteContext,
  profile: ProfileInfo,
  group: Message<'ActionProfileGroup'>,
  old: Init<'ActionProfileGroup'> | undefined,
): Init<'ActionProfileGroup'> {
  const most = profile.info.maxGroupSize;
  if (group.maxSize < 0 || (most > 0 && group.maxSize > most))
    throw invalid(`groups of ${profile.name} hold at most ${most}`);
  if (old !== undefined && old.maxSize !== group.maxSize)
    throw invalid('the size of a group does not change');
  const seen = new Set<number>();
  const members = group.members.map((member) => {
    const { memberId, weight } = member;
    if (!store.members(profile.id).has(memberId)) throw notFound(`${profile.name} has no member ${memberId}`);
    if (seen.has(memberId)) throw invalid(`member ${memberId} is in the group twice`);
    seen.add(memberId);
    checkWeight(profile, weight);
    return { memberId, weight, ...checkWatch(store, member) };
  });
  const { load, limit } = groupLoad(profile, members, group.maxSize || most);
  if (load > limit) throw exhausted(`the group has a size of ${limit}, its members one of ${load}`);
  return { actionProfileId: profile.id, groupId: group.groupId, members, maxSize: group.maxSize };
}
