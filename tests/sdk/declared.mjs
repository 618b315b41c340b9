// Whether what Cloudflare's TypeScript client returns is what its declarations promise: a value is
// walked beside its type, as the TypeScript compiler reads it.

import { fileURLToPath } from "node:url";
import ts from "typescript";

/** Declared as a text; production sends an object, and so do we. */
const EXCEPTIONS = new Set(["LiveInput.status"]);

const ASKING = fileURLToPath(new URL("asking.ts", import.meta.url));
const TEXT = 'import Cloudflare from "cloudflare"; export declare const client: Cloudflare;';

let program;

/**
 * Checks what a method returned: `assertDeclared(made, "stream.liveInputs.create")`. Of pages,
 * whose class has more than data, `within` names the property that is checked.
 */
export function assertDeclared(value, method, within) {
  program ??= compile();
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(ASKING);
  const client = checker.getExportsOfModule(checker.getSymbolAtLocation(source))[0];
  let type = checker.getTypeOfSymbol(client);
  for (const name of method.split(".")) type = typeOf(checker, type, name);
  const [signature] = type.getCallSignatures();
  if (signature === undefined) throw new Error(`${method} is no method of the client`);
  type = checker.getAwaitedType(signature.getReturnType());
  if (within !== undefined) {
    type = checker.getNonNullableType(typeOf(checker, type, within));
    value = value[within];
  }
  const wrong = mismatch(checker, value, type, method);
  if (wrong !== null) throw new Error(wrong);
}

function compile() {
  const options = {
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts"],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    noEmit: true,
    skipLibCheck: true,
    strict: true,
    types: [],
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, getSourceFile } = host;
  host.fileExists = (name) => name === ASKING || fileExists(name);
  host.getSourceFile = (name, target, ...rest) =>
    name === ASKING
      ? ts.createSourceFile(name, TEXT, target)
      : getSourceFile.call(host, name, target, ...rest);
  const made = ts.createProgram([ASKING], options, host);
  const [error] = made.getSemanticDiagnostics(made.getSourceFile(ASKING));
  if (error !== undefined) throw new Error(ts.flattenDiagnosticMessageText(error.messageText, "\n"));
  return made;
}

function typeOf(checker, type, name) {
  const property = checker.getPropertyOfType(type, name);
  if (property === undefined) throw new Error(`${checker.typeToString(type)} has no ${name}`);
  return checker.getTypeOfSymbol(property);
}

/** What is wrong with a value, or null. */
function mismatch(checker, value, type, path) {
  const is = (...flags) => flags.some((flag) => type.flags & flag);
  const { TypeFlags: Flag } = ts;
  const shown = `${path} is ${JSON.stringify(value)}, and not ${checker.typeToString(type)}`;
  const unless = (right) => (right ? null : shown);

  // Of what is declared void, a deletion's answer, the client hands on whatever came.
  if (is(Flag.Any, Flag.Unknown, Flag.Void)) return null;
  if (is(Flag.Undefined)) return unless(value === undefined);
  if (is(Flag.Null)) return unless(value === null);
  if (is(Flag.StringLiteral, Flag.NumberLiteral)) return unless(value === type.value);
  if (is(Flag.BooleanLiteral)) return unless(value === (checker.typeToString(type) === "true"));
  if (is(Flag.String)) return unless(typeof value === "string");
  if (is(Flag.Number)) return unless(typeof value === "number");
  if (is(Flag.Boolean)) return unless(typeof value === "boolean");
  if (type.isUnion()) {
    const fits = type.types.some((each) => mismatch(checker, value, each, path) === null);
    return unless(fits);
  }
  if (type.isIntersection()) {
    return first(type.types, (each) => mismatch(checker, value, each, path));
  }
  if (value === null || typeof value !== "object") return shown;
  if (checker.isArrayType(type)) {
    if (!Array.isArray(value)) return shown;
    const [element] = checker.getTypeArguments(type);
    return first(value.entries(), ([index, item]) =>
      mismatch(checker, item, element, `${path}[${index}]`),
    );
  }
  const named = type.aliasSymbol?.name ?? type.symbol?.name;
  const inProperties = first(type.getProperties(), (property) => {
    if (EXCEPTIONS.has(`${named}.${property.name}`)) return null;
    // `Webhooks` is a class of methods and the data that they return, both by one name.
    const declaration = property.valueDeclaration;
    if (declaration !== undefined && ts.isClassDeclaration(declaration.parent)) return null;
    const missing = !(property.name in value);
    if (missing && property.flags & ts.SymbolFlags.Optional) return null;
    const inner = checker.getTypeOfSymbol(property);
    return mismatch(checker, value[property.name], inner, `${path}.${property.name}`);
  });
  if (inProperties !== null) return inProperties;
  const index = type.getStringIndexType();
  if (index === undefined) return null;
  return first(Object.entries(value), ([key, item]) =>
    mismatch(checker, item, index, `${path}.${key}`),
  );
}

function first(items, find) {
  for (const item of items) {
    const found = find(item);
    if (found !== null) return found;
  }
  return null;
}
