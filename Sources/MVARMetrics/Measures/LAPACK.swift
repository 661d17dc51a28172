// The two decompositions that distances between distributions need, by the LAPACK that OpenBLAS contains.
//
// Operators let OpenBLAS use one thread, since they call it from several. No operator runs during a decomposition, so it
// gets all threads then.

import CMVAROpenBLAS
import TensorCore

/// Decompositions of matrices in double precision.
enum LAPACK {
  /// The eigenvalues of a symmetric matrix, in ascending order, and its eigenvectors.
  ///
  /// - Parameter matrix: row-major n × n; becomes the eigenvectors, one in each row.
  static func symmetricEigen(_ matrix: inout [Double], order n: Int) throws -> [Double] {
    guard n > 0 else { return [] }
    var values = [Double](repeating: 0, count: n)
    var (order, info) = (blasint(n), blasint(0))
    func call(_ work: inout [Double], _ length: blasint, _ integers: inout [blasint], _ integerLength: blasint) {
      var (length, integerLength) = (length, integerLength)
      dsyevd_("V", "U", &order, &matrix, &order, &values, &work, &length, &integers, &integerLength, &info, 1, 1)
    }
    var (work, integers) = ([Double(0)], [blasint(0)])
    call(&work, -1, &integers, -1)
    work = [Double](repeating: 0, count: Int(work[0]))
    integers = [blasint](repeating: 0, count: Int(integers[0]))
    withAllThreads { call(&work, blasint(work.count), &integers, blasint(integers.count)) }
    guard info == 0 else { throw MeasureError("the eigenvalues of a covariance matrix could not be computed") }
    return values
  }

  /// The singular values of a matrix, in descending order.
  ///
  /// - Parameter matrix: row-major rows × columns; is destroyed.
  static func singularValues(_ matrix: inout [Double], rows: Int, columns: Int) throws -> [Double] {
    guard rows > 0, columns > 0 else { return [] }
    let smaller = min(rows, columns)
    var values = [Double](repeating: 0, count: smaller)
    // By columns it is the transposed matrix, whose singular values are the same.
    var (m, n, one, info) = (blasint(columns), blasint(rows), blasint(1), blasint(0))
    var integers = [blasint](repeating: 0, count: 8 * smaller)
    var (left, right) = ([Double(0)], [Double(0)])
    func call(_ work: inout [Double], _ length: blasint) {
      var (length, leading) = (length, m)
      dgesdd_(
        "N", &m, &n, &matrix, &leading, &values, &left, &one, &right, &one, &work, &length, &integers, &info, 1)
    }
    var work = [Double(0)]
    call(&work, -1)
    work = [Double](repeating: 0, count: Int(work[0]))
    withAllThreads { call(&work, blasint(work.count)) }
    guard info == 0 else { throw MeasureError("the singular values of a product could not be computed") }
    return values
  }

  private static func withAllThreads(_ body: () -> Void) {
    guard ThreadCount.managesOpenBLAS else { return body() }
    openblas_set_num_threads(Int32(ThreadCount.current))
    defer { openblas_set_num_threads(1) }
    body()
  }
}
