#include <cblas.h>
#include <stddef.h>

// The two routines of LAPACK that are used. OpenBLAS contains LAPACK, but its header declares only BLAS. Arguments are
// Fortran's: by reference, matrices by columns, and after all others the length of each text.

/// Eigenvalues of a symmetric matrix in ascending order, and its eigenvectors, which replace it, if jobz is V.
void dsyevd_(const char *jobz, const char *uplo, const blasint *n, double *a, const blasint *lda, double *w,
             double *work, const blasint *lwork, blasint *iwork, const blasint *liwork, blasint *info,
             size_t jobz_length, size_t uplo_length);

/// Singular values of a matrix in descending order; jobz N: no vectors. The matrix is destroyed.
void dgesdd_(const char *jobz, const blasint *m, const blasint *n, double *a, const blasint *lda, double *s, double *u,
             const blasint *ldu, double *vt, const blasint *ldvt, double *work, const blasint *lwork, blasint *iwork,
             blasint *info, size_t jobz_length);
