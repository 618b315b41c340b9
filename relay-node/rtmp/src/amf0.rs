//! AMF0, the encoding of commands and script data.
