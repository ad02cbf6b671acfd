"""The people of the demo hospital: patients, departments and doctors, drawn from a seeded generator.

About one name in twenty has a rare character. The second byte of most of these is a delimiter of HL7 in GB 18030 (| ^ ~ \\), so a
feed that splits fields before it converts the text tears such a name apart; two need four bytes.
"""

from typing import NamedTuple

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔"
    "钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_TWO_PART_SURNAMES = ("欧阳", "司马", "上官", "诸葛", "皇甫", "尉迟")
_MALE = "伟强磊军洋勇杰涛超明刚平辉鹏华飞鑫波斌宇浩凯健俊帆志建国文武天宏博思源子轩梓睿昊泽一诺晨旭"
_FEMALE = "芳娜敏静丽艳娟霞秀英玲桂兰红玉梅雪琳婷慧莹倩颖洁欣怡佳雨涵梦瑶诗语嫣若曦可心月萍燕"
RARE = "珅瓅瑋玘璣珇瑍琝頫玕喆犇翀䶮㛃㮾"
_AGES = {"outpatient": (1, 88), "emergency": (1, 90), "inpatient": (18, 92)}

TCM = "中医科"
DEPARTMENTS = {
    "outpatient": ["心血管内科", "内分泌科", "呼吸内科", "消化内科", "普外科", "骨科", "儿科", "妇产科", "眼科", "耳鼻喉科", "皮肤科", TCM],
    "emergency": ["急诊内科", "急诊外科"],
    "inpatient": ["心血管内科病区", "呼吸内科病区", "普外科病区", "骨科病区", "神经内科病区"],
}


class Patient(NamedTuple):
    patient_no: str
    name: str
    birth_date: str             # YYYY-MM-DD
    sex: str


class Doctor(NamedTuple):
    code: str
    name: str


def full_name(rng, sex):
    surname = rng.choice(_TWO_PART_SURNAMES) if rng.random() < 0.01 else rng.choice(_SURNAMES)
    given = _MALE if sex == "M" else _FEMALE
    name = rng.choice(given)
    if rng.random() < 0.05:
        return surname + rng.choice(RARE)
    return surname + name + (rng.choice(given) if rng.random() < 0.7 else "")


def patient(rng, serial, kind, year):
    sex = rng.choice("MF")
    youngest, oldest = _AGES[kind]
    birth = f"{year - rng.randint(youngest, oldest)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    return Patient(f"P{serial:08}", full_name(rng, sex), birth, sex)


def staff(rng):
    """Six doctors for each department."""
    result, serial = {}, 0
    for departments in DEPARTMENTS.values():
        for department in departments:
            doctors = result[department] = []
            for _ in range(6):
                serial += 1
                doctors.append(Doctor(f"D{serial:04}", full_name(rng, rng.choice("MF"))))
    return result
