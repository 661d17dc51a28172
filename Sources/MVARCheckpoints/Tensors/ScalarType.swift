// The types of elements that a stored tensor can hold, and what each file format calls them.
//
// Complex, quantized and sub-byte types are deliberately absent: no image generator's weights use them, and a file that
// uses one is refused with the type's name.

/// The type of a stored tensor's elements.
public enum ScalarType: String, CaseIterable, Sendable {
  case float64
  case float32
  case float16
  case bfloat16
  /// 4 exponent bits, 3 mantissa bits, no infinities.
  case float8e4m3
  /// 5 exponent bits, 2 mantissa bits.
  case float8e5m2
  case int64
  case int32
  case int16
  case int8
  case uint64
  case uint32
  case uint16
  case uint8
  case bool

  /// Bytes per element.
  public var byteWidth: Int {
    switch self {
    case .float64, .int64, .uint64: 8
    case .float32, .int32, .uint32: 4
    case .float16, .bfloat16, .int16, .uint16: 2
    case .float8e4m3, .float8e5m2, .int8, .uint8, .bool: 1
    }
  }

  /// Whether values have a fraction.
  public var isFloatingPoint: Bool {
    switch self {
    case .float64, .float32, .float16, .bfloat16, .float8e4m3, .float8e5m2: true
    default: false
    }
  }

  /// The name in a safetensors header, for example `F32`.
  public var safetensorsName: String {
    switch self {
    case .float64: "F64"
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    case .float8e4m3: "F8_E4M3"
    case .float8e5m2: "F8_E5M2"
    case .int64: "I64"
    case .int32: "I32"
    case .int16: "I16"
    case .int8: "I8"
    case .uint64: "U64"
    case .uint32: "U32"
    case .uint16: "U16"
    case .uint8: "U8"
    case .bool: "BOOL"
    }
  }

  /// The PyTorch data type without its module, for example `float32`.
  public var torchName: String {
    switch self {
    case .float8e4m3: "float8_e4m3fn"
    case .float8e5m2: "float8_e5m2"
    default: rawValue
    }
  }

  /// The name of PyTorch's storage class, for example `FloatStorage`; nil for the types that PyTorch keeps untyped.
  public var torchStorageName: String? {
    switch self {
    case .float64: "DoubleStorage"
    case .float32: "FloatStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    case .int64: "LongStorage"
    case .int32: "IntStorage"
    case .int16: "ShortStorage"
    case .int8: "CharStorage"
    case .uint8: "ByteStorage"
    case .bool: "BoolStorage"
    case .float8e4m3, .float8e5m2, .uint64, .uint32, .uint16: nil
    }
  }

  /// NumPy's little-endian type descriptor, for example `<f4`; nil where NumPy has no such type.
  public var numpyDescriptor: String? {
    switch self {
    case .float64: "<f8"
    case .float32: "<f4"
    case .float16: "<f2"
    case .int64: "<i8"
    case .int32: "<i4"
    case .int16: "<i2"
    case .int8: "|i1"
    case .uint64: "<u8"
    case .uint32: "<u4"
    case .uint16: "<u2"
    case .uint8: "|u1"
    case .bool: "|b1"
    case .bfloat16, .float8e4m3, .float8e5m2: nil
    }
  }

  /// The type with this name in a safetensors header.
  public init?(safetensorsName name: String) {
    guard let type = Self.allCases.first(where: { $0.safetensorsName == name }) else { return nil }
    self = type
  }

  /// The type of a PyTorch storage class.
  public init?(torchStorageName name: String) {
    guard let type = Self.allCases.first(where: { $0.torchStorageName == name }) else { return nil }
    self = type
  }

  /// The type with this PyTorch name; aliases such as `half` and `long` are understood.
  public init?(torchName name: String) {
    let aliases: [String: ScalarType] = [
      "double": .float64, "float": .float32, "half": .float16, "long": .int64, "int": .int32, "short": .int16,
    ]
    guard let type = aliases[name] ?? Self.allCases.first(where: { $0.torchName == name }) else { return nil }
    self = type
  }

  /// The type with this NumPy descriptor; `=` and `|` are accepted where byte order does not matter or is native.
  public init?(numpyDescriptor descriptor: String) {
    let code = descriptor.drop { "<|=".contains($0) }
    guard
      let type = Self.allCases.first(where: { $0.numpyDescriptor.map { $0.dropFirst() == code } ?? false }),
      descriptor.count - code.count <= 1,
      type.byteWidth == 1 || !descriptor.hasPrefix("|")
    else { return nil }
    self = type
  }
}
