// Webhooks and notifications, by the API.

import { ApiError, ask, read } from "./client";
import type { Delivery, Destination, Policy, StreamWebhook } from "./types";

const WEBHOOK = "/stream/webhook";
const DESTINATIONS = "/alerting/v3/destinations/webhooks";
const POLICIES = "/alerting/v3/policies";

/** Where one receiver's deliveries are, and its test message. */
export interface Receiver {
  path: string;
}

export const accountWebhook: Receiver = { path: WEBHOOK };

export function destination(id: string): Receiver {
  return { path: `${DESTINATIONS}/${id}` };
}

/** The account's webhook; none where it is not set. */
export async function readWebhook(): Promise<StreamWebhook | null> {
  try {
    return await read<StreamWebhook>(WEBHOOK);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

export async function setWebhook(notificationUrl: string): Promise<StreamWebhook> {
  return (await ask<StreamWebhook>("PUT", WEBHOOK, { notificationUrl })).result;
}

export async function deleteWebhook(): Promise<void> {
  await ask("DELETE", WEBHOOK);
}

export function readDeliveries({ path }: Receiver): Promise<Delivery[]> {
  return read(`${path}/deliveries`);
}

export async function sendTest({ path }: Receiver): Promise<Delivery> {
  return (await ask<Delivery>("POST", `${path}/test`)).result;
}

export function readDestinations(): Promise<Destination[]> {
  return read(DESTINATIONS);
}

/** What a destination is made or changed with; a secret that is absent stays. */
export interface DestinationBody {
  name: string;
  url: string;
  secret?: string;
}

export async function saveDestination(id: string | null, body: DestinationBody): Promise<void> {
  if (id === null) await ask("POST", DESTINATIONS, body);
  else await ask("PUT", `${DESTINATIONS}/${id}`, body);
}

export async function deleteDestination(id: string): Promise<void> {
  await ask("DELETE", `${DESTINATIONS}/${id}`);
}

export function readPolicies(): Promise<Policy[]> {
  return read(POLICIES);
}

/** What a policy is made or changed with. */
export interface PolicyBody {
  name: string;
  enabled: boolean;
  destinations: readonly string[];
  events: readonly string[];
}

export async function savePolicy(policy: Policy | null, body: PolicyBody): Promise<void> {
  const whole = {
    name: body.name,
    enabled: body.enabled,
    alert_type: "stream_live_notifications",
    mechanisms: { webhooks: body.destinations.map((id) => ({ id })) },
    filters: { ...policy?.filters, event_type: body.events },
  };
  if (policy === null) await ask("POST", POLICIES, whole);
  else await ask("PUT", `${POLICIES}/${policy.id}`, whole);
}

export async function deletePolicy(id: string): Promise<void> {
  await ask("DELETE", `${POLICIES}/${id}`);
}
