"""The machine code of checked arithmetic: 64-bit instructions that raise where Python's numbers would go on."""

from collections.abc import Callable

from llvmlite import ir

WORD, REAL = ir.IntType(64), ir.DoubleType()


def raise_if(context, builder, bad, kind: type[Exception], text: str) -> None:  # type: ignore[no-untyped-def]
    with builder.if_then(bad, likely=False):
        context.call_conv.return_user_exc(builder, kind, (text,))


def with_overflow(name: str, text: str) -> Callable:
    def code(context, builder, a, b):  # type: ignore[no-untyped-def]
        pair = getattr(builder, name)(a, b)
        raise_if(context, builder, builder.extract_value(pair, 1), OverflowError, text)
        return builder.extract_value(pair, 0)

    return code


def division(remainder: bool, text: str) -> Callable:
    """Towards minus infinity; the lowest number by -1 would stop the processor."""

    def code(context, builder, a, b):  # type: ignore[no-untyped-def]
        raise_if(context, builder, builder.icmp_signed("==", b, WORD(0)), ZeroDivisionError, "division by zero")
        minus_one = builder.icmp_signed("==", b, WORD(-1))
        if not remainder:
            lowest = builder.icmp_signed("==", a, WORD(-(2**63)))
            raise_if(context, builder, builder.and_(minus_one, lowest), OverflowError, text)
        else:
            b = builder.select(minus_one, WORD(1), b)
        quotient = builder.sdiv(a, b)
        left = builder.sub(a, builder.mul(quotient, b))
        off = builder.and_(
            builder.icmp_signed("!=", left, WORD(0)), builder.icmp_signed("<", builder.xor(left, b), WORD(0))
        )
        if remainder:
            return builder.add(left, builder.select(off, b, WORD(0)))
        return builder.sub(quotient, builder.zext(off, WORD))

    return code


def shift(left: bool, text: str) -> Callable:
    def code(context, builder, a, n):  # type: ignore[no-untyped-def]
        raise_if(context, builder, builder.icmp_signed("<", n, WORD(0)), ValueError, "negative shift count")
        large = builder.icmp_signed(">", n, WORD(63))
        n = builder.select(large, WORD(63), n)
        if not left:
            return builder.ashr(a, n)
        result = builder.shl(a, n)
        lost = builder.or_(large, builder.icmp_signed("!=", builder.ashr(result, n), a))
        raise_if(context, builder, builder.and_(lost, builder.icmp_signed("!=", a, WORD(0))), OverflowError, text)
        return result

    return code


def out_of_domain(context, builder, result, args: list, text: str) -> None:  # type: ignore[no-untyped-def]
    """Raise where a function of finite numbers is not finite, or of numbers is NaN."""
    finite, numbers = ir.Constant(ir.IntType(1), 1), ir.Constant(ir.IntType(1), 1)
    for x in args:
        finite = builder.and_(finite, builder.fcmp_ordered("==", builder.fsub(x, x), REAL(0.0)))
        numbers = builder.and_(numbers, builder.fcmp_ordered("ord", x, x))
    lost = builder.and_(finite, builder.fcmp_unordered("!=", builder.fsub(result, result), REAL(0.0)))
    lost = builder.or_(lost, builder.and_(numbers, builder.fcmp_unordered("uno", result, result)))
    raise_if(context, builder, lost, ValueError, text)
