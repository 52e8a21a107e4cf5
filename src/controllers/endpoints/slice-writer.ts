import { ApiError } from '../../client/client.ts';
import { type EndpointSlice, type KubeObject, keyOf } from '../../kube/objects.ts';
import { apiVersionOf, RESOURCES, type Resource } from '../../kube/resources.ts';
import { type AddressType, MANAGED_BY, type PortGroup } from '../../kube/service-endpoints.ts';
import { BY_SERVICE, type Context, SERVICE_NAME } from '../context.ts';
import { controllerReference, keyPartsOf, nameOf, namespaceOf, uidOf } from '../metadata.ts';
import { OwnWrites } from '../own-writes.ts';
import { randomName, sameJson } from '../same-json.ts';
import { packSlices, type SliceContent, type SlicePlan } from './slice-packing.ts';

/** What the slices of one owner, a Service or Endpoints, shall be. */
export interface WantedSlices {
  readonly owner: KubeObject;
  readonly ownerResource: Resource;
  readonly groups: ReadonlyMap<AddressType, readonly PortGroup[]>;
  readonly labels: Readonly<Record<string, string>>;
}

/** Writes the EndpointSlices of one manager. */
export class SliceWriter {
  readonly #context: Context;
  readonly #manager: string;
  readonly #writes: OwnWrites<EndpointSlice>;

  constructor(context: Context, manager: string) {
    this.#context = context;
    this.#manager = manager;
    this.#writes = new OwnWrites(context.informers.endpointslices);
  }

  manages(slice: EndpointSlice): boolean {
    return slice.metadata?.labels?.[MANAGED_BY] === this.#manager;
  }

  /** The manager's slices of the Service `key` names, with its own writes in. */
  slicesOf(key: string): EndpointSlice[] {
    const isOfService = (slice: EndpointSlice) =>
      `${namespaceOf(slice)}/${slice.metadata?.labels?.[SERVICE_NAME]}` === key && this.manages(slice);
    const held = this.#context.informers.endpointslices.lookup(BY_SERVICE, key);
    return this.#writes.correct(held, isOfService).filter((slice) => this.manages(slice));
  }

  async write(wanted: WantedSlices): Promise<void> {
    const existing = this.slicesOf(keyOf(wanted.owner));
    const labels = {
      ...wanted.labels,
      [SERVICE_NAME]: nameOf(wanted.owner),
      [MANAGED_BY]: this.#manager,
    };
    const stale = existing.filter(({ addressType }) => !wanted.groups.has(addressType as AddressType));
    const plans = [...wanted.groups].map(([type, groups]) => {
      const ofType = existing.filter(({ addressType }) => addressType === type);
      return this.#apply(wanted, type, labels, withRelabelled(packSlices(groups, ofType), ofType, labels));
    });
    await Promise.all([...plans, ...stale.map((slice) => this.remove(slice))]);
  }

  async remove(slice: EndpointSlice): Promise<void> {
    this.#writes.drop(slice);
    try {
      const preconditions = { uid: uidOf(slice) };
      await this.#context.client.delete(RESOURCES.endpointslices, keyPartsOf(slice), { preconditions });
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
    }
  }

  async #apply(
    wanted: WantedSlices,
    addressType: AddressType,
    labels: Readonly<Record<string, string>>,
    plan: SlicePlan,
  ): Promise<void> {
    // What is new is served before what is old goes.
    await Promise.all([
      ...plan.create.map((content) => this.#create(wanted, addressType, labels, content)),
      ...plan.update.map(({ slice, content }) => this.#update(slice, labels, content)),
    ]);
    await Promise.all(plan.remove.map((slice) => this.remove(slice)));
  }

  async #create(
    { owner, ownerResource }: WantedSlices,
    addressType: AddressType,
    labels: Readonly<Record<string, string>>,
    content: SliceContent,
  ): Promise<void> {
    const { client, random } = this.#context;
    const name = nameOf(owner);
    const slice: EndpointSlice = {
      metadata: {
        name: `${name}-${randomName(random)}`,
        generateName: `${name}-`,
        namespace: namespaceOf(owner),
        labels: { ...labels },
        ownerReferences: [controllerReference(owner, ownerResource)],
      },
      addressType,
      ...bodyOf(content),
    };
    this.#writes.put(await client.create(RESOURCES.endpointslices, slice, namespaceOf(owner)));
  }

  async #update(
    slice: EndpointSlice,
    labels: Readonly<Record<string, string>>,
    content: SliceContent,
  ): Promise<void> {
    const next: EndpointSlice = {
      ...slice,
      apiVersion: apiVersionOf(RESOURCES.endpointslices) as 'discovery.k8s.io/v1',
      metadata: { ...slice.metadata, labels: { ...labels } },
      ...bodyOf(content),
    };
    try {
      this.#writes.put(await this.#context.client.update(RESOURCES.endpointslices, next));
    } catch (error) {
      if (!ApiError.is(error, 'NotFound')) throw error;
      // Somebody deleted it; when the watch says so, the Service is looked at again.
      this.#writes.drop(slice);
    }
  }
}

const bodyOf = ({ ports, endpoints }: SliceContent) => ({ ports: [...ports], endpoints: [...endpoints] });

/** Slices whose endpoints stay as they are, but whose Service has got other labels. */
function withRelabelled(
  plan: SlicePlan,
  existing: readonly EndpointSlice[],
  labels: Readonly<Record<string, string>>,
): SlicePlan {
  const touched = new Set([...plan.update.map(({ slice }) => slice), ...plan.remove]);
  const relabelled = existing
    .filter((slice) => !touched.has(slice) && !sameJson(slice.metadata?.labels, labels))
    .map((slice) => ({ slice, content: { ports: slice.ports ?? [], endpoints: slice.endpoints ?? [] } }));
  return { ...plan, update: [...plan.update, ...relabelled] };
}
