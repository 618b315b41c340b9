import { useTitle } from "./title";
export function TokensPage() {
  useTitle("API tokens");
  return <h1>API tokens</h1>;
}
