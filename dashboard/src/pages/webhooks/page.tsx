import { useTitle } from "../title";
export function WebhooksPage() {
  useTitle("Webhooks");
  return <h1>Webhooks</h1>;
}
