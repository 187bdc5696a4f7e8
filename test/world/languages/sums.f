      SUBROUTINE SUMS(N, A, S)
      INTEGER N, I, J
      DOUBLE PRECISION A(N, N), S(N)
      DO 20 J = 1, N
        S(J) = 0D0
        DO 10 I = 1, N
          A(I, J) = 1D0 / (I + J - 1)
          S(J) = S(J) + A(I, J) * (-1)**(I + 1)
   10   CONTINUE
   20 CONTINUE
      END
      INTEGER FUNCTION COLLTZ(K)
      INTEGER K, M
      M = K
      COLLTZ = 0
   30 IF (M .EQ. 1) RETURN
      IF (MOD(M, 2) .EQ. 0) THEN
        M = M / 2
      ELSE
        M = 3 * M + 1
      END IF
      COLLTZ = COLLTZ + 1
      GOTO 30
      END
