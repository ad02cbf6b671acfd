"""The demo hospital's price list: drugs, herbs, tests, examinations, beds, nursing, materials and operations.

Names, units, classes and prices are typical of Chinese public hospitals; the codes are made up and have the form of real
ones: the hospital's own (code) and the national insurance's (national_code). Prices are kept as integers of 10^-6 yuan.
"""

import csv
from typing import NamedTuple

from .lines import decimal_text

VALID_FROM = "2019-07-01"

CATEGORIES = {
    1: "床位费", 2: "诊察费", 3: "检查费", 4: "化验费", 5: "治疗费", 6: "手术费", 7: "护理费", 8: "卫生材料费",
    9: "西药费", 10: "中药饮片费", 11: "中成药费", 12: "一般诊疗费", 13: "挂号费", 14: "其他费",
}

BED, CONSULTATION, EXAMINATION, LABORATORY, TREATMENT, SURGERY, NURSING, MATERIAL = range(1, 9)
DRUG, HERB, PATENT, GENERAL, REGISTRATION, OTHER = range(9, 15)


class Item(NamedTuple):
    code: str
    national_code: str
    name: str
    unit: str
    category: int
    grade: str              # class A, B or C: how far the insurance pays
    self_pay: int           # 10^-4
    price: int              # 10^-6 yuan


# A row: stem of the national code, name, unit, class, self-pay ratio in 10^-4, price. Drugs have the ATC group or the group
# of Chinese patent drugs as their stem, services the number of the national price catalogue.
_ROWS = {
    BED: """
110900001 普通病房床位费(三人间) 日 A 0 45.00
110900002 普通病房床位费(双人间) 日 A 0 70.00
110900003 单人病房床位费 日 C 10000 180.00
110900004 重症监护病房床位费 日 A 0 120.00
110900005 急诊观察床位费 日 A 0 30.00""",
    CONSULTATION: """
110200001 普通门诊诊察费 次 A 0 15.00
110200002 主任医师门诊诊察费 次 A 0 40.00
110200003 副主任医师门诊诊察费 次 A 0 30.00
110200004 急诊诊察费 次 A 0 25.00
110200005 住院诊察费 日 A 0 20.00""",
    EXAMINATION: """
210102015 胸部正侧位X线摄影(DR) 次 A 0 80.00
210200001 颅脑CT平扫 次 B 1000 190.00
210200002 胸部CT平扫 次 B 1000 230.00
210300001 腰椎磁共振平扫 部位 B 1000 480.00
220301001 腹部彩色多普勒超声检查 次 A 0 120.00
220302003 颈动脉彩色多普勒超声检查 次 A 0 140.00
220600004 心脏彩色多普勒超声检查 次 A 0 180.00
310701001 常规十二导联心电图 次 A 0 25.00
310701022 动态心电图&动态血压联合监测 次 B 1000 265.00
310902005 电子胃镜检查 次 A 0 210.00
310903004 电子结肠镜检查 次 A 0 320.00
310300027 眼底照相 单眼 A 0 30.00
310401001 纯音听阈测定 次 A 0 45.00
310605002 肺功能通气检查 次 A 0 90.00""",
    LABORATORY: """
250101015 血细胞分析(五分类) 次 A 0 20.00
250102035 尿液分析(干化学) 次 A 0 8.00
250103002 粪便隐血试验 次 A 0 5.50
250203020 凝血酶原时间测定 项 A 0 16.00
250203066 D-二聚体测定 项 A 0 45.00
250301001 血清总蛋白测定 项 A 0 4.50
250301002 血清白蛋白测定 项 A 0 4.50
250302001 葡萄糖测定 项 A 0 6.00
250302003 糖化血红蛋白测定 项 A 0 55.00
250303001 血清总胆固醇测定 项 A 0 6.00
250303002 血清甘油三酯测定 项 A 0 7.50
250303004 低密度脂蛋白胆固醇测定 项 A 0 9.80
250304001 钾测定 项 A 0 4.80
250304002 钠测定 项 A 0 4.80
250305007 丙氨酸氨基转移酶测定 项 A 0 6.50
250305008 天门冬氨酸氨基转移酶测定 项 A 0 6.50
250306008 肌钙蛋白I测定 项 A 0 88.00
250307001 尿素测定 项 A 0 6.20
250307002 肌酐测定 项 A 0 6.20
250307005 血清尿酸测定 项 A 0 6.20
250310001 促甲状腺激素测定 项 A 0 28.00
250310005 游离甲状腺素测定 项 A 0 28.00
250401020 C反应蛋白测定 项 A 0 18.00
250401031 降钙素原测定 项 B 1000 126.00
250402035 类风湿因子测定 项 A 0 12.50
250403025 幽门螺杆菌抗体测定 项 A 0 35.00
250403065 甲型流感病毒抗原检测 项 A 0 38.00
250403090 HIV抗体筛查(国家免费) 次 A 0 0.00
250404005 癌胚抗原测定 项 A 0 40.00
250501009 一般细菌培养及鉴定 次 A 0 66.00""",
    TREATMENT: """
120400001 肌内注射 次 A 0 4.00
120400002 静脉注射 次 A 0 6.00
120400006 静脉输液 组 A 0 12.00
120400011 静脉留置针穿刺 次 A 0 9.00
120500001 清创缝合(小) 次 A 0 68.00
120600003 换药(中) 次 A 0 22.00
120700001 雾化吸入 次 A 0 8.00
120300001 氧气吸入 小时 A 0 3.50
340100012 红外线治疗 部位 A 0 15.00
430000005 普通针刺 次 A 0 32.00
450000003 颈椎病推拿治疗 次 B 1000 58.00""",
    SURGERY: """
331003022 腹腔镜下阑尾切除术 次 A 0 1860.00
331006002 腹腔镜下胆囊切除术 次 A 0 2340.00
331008008 腹股沟疝修补术 次 A 0 1120.00
331503004 桡骨远端骨折切开复位内固定术 次 A 0 1780.00
330406005 白内障超声乳化摘除术 单侧 A 0 1420.00
331602003 浅表肿物切除术 次 A 0 260.00
330100005 全身麻醉 2小时 A 0 880.00""",
    NURSING: """
120100001 重症监护护理 小时 A 0 12.00
120100003 一级护理 日 A 0 30.00
120100004 二级护理 日 A 0 18.00
120100005 三级护理 日 A 0 10.00
120100010 动静脉置管护理 次 A 0 9.50""",
    MATERIAL: """
01010100102 一次性使用静脉输液器 支 A 0 1.85
01010100311 一次性使用无菌注射器5ml 支 A 0 0.386
01010100405 静脉留置针22G 支 B 1000 14.60
01020200113 医用输液贴 片 A 0 0.215
01030100207 一次性使用吸氧管 根 A 0 6.80
01040300118 医用纱布敷料10cm×10cm 片 A 0 0.92
01050200301 可吸收性外科缝线 包 B 1000 58.40
01060100022 一次性使用导尿包 套 A 0 23.50
02010400556 一次性腹腔镜用穿刺器 套 B 2000 486.00
02030100781 吻合夹(钛) 枚 B 2000 126.75
03020100912 桡骨远端锁定接骨板 块 B 3000 2980.00
04010100035 血糖试纸 条 A 0 2.375""",
    DRUG: """
J01CA 阿莫西林胶囊0.25g 粒 A 0 0.1875
J01DC 头孢呋辛酯片0.25g 片 A 0 0.618
J01DD 注射用头孢曲松钠1.0g 瓶 A 0 2.36
J01FA 阿奇霉素片0.25g 片 A 0 0.845
J01MA 左氧氟沙星片0.5g 片 A 0 1.267
J01XD 甲硝唑氯化钠注射液100ml 瓶 A 0 2.05
J05AH 磷酸奥司他韦胶囊75mg 粒 B 500 8.425
A10BA 二甲双胍片0.5g 片 A 0 0.065
A10BB 格列齐特缓释片30mg 片 A 0 0.3933
A10BF 阿卡波糖片50mg 片 A 0 0.1785
A10AE 甘精胰岛素注射液300单位 支 B 500 69.39
A02BC 奥美拉唑肠溶胶囊20mg 粒 A 0 0.4229
A02BA 法莫替丁片20mg 片 A 0 0.0925
A03FA 多潘立酮片10mg 片 A 0 0.2867
A07BC 蒙脱石散3g 袋 A 0 0.765
A07FA 双歧杆菌三联活菌胶囊210mg 粒 B 500 0.8417
B01AC 阿司匹林肠溶片100mg 片 A 0 0.1583
B01AC 硫酸氢氯吡格雷片75mg 片 A 0 2.5457
B01AB 低分子量肝素钠注射液0.4ml 支 A 0 16.85
B05BA 葡萄糖注射液5%250ml 袋 A 0 2.41
B05BB 氯化钠注射液0.9%250ml 袋 A 0 2.28
B05XA 氯化钾注射液10ml 支 A 0 0.305
C01DA 硝酸甘油片0.5mg 片 A 0 0.235
C03CA 呋塞米注射液20mg 支 A 0 0.642
C07AB 美托洛尔缓释片47.5mg 片 A 0 1.2043
C08CA 苯磺酸氨氯地平片5mg 片 A 0 0.1007
C08CA 硝苯地平控释片30mg 片 A 0 1.0729
C09AA 培哚普利叔丁胺片4mg 片 A 0 0.7647
C09CA 缬沙坦胶囊80mg 粒 A 0 0.4457
C10AA 阿托伐他汀钙片20mg 片 A 0 0.2471
C10AA 瑞舒伐他汀钙片10mg 片 A 0 0.2186
H02AB 醋酸泼尼松片5mg 片 A 0 0.0488
H02AB 注射用甲泼尼龙琥珀酸钠40mg 瓶 A 0 9.93
H03AA 左甲状腺素钠片50μg 片 A 0 0.3104
M01AE 布洛芬缓释胶囊0.3g 粒 A 0 0.3315
M01AB 双氯芬酸钠凝胶20g 支 B 1000 17.80
M04AA 别嘌醇片0.1g 片 A 0 0.1369
N02BE 对乙酰氨基酚片0.5g 片 A 0 0.0577
N01AX 丙泊酚注射液20ml 支 A 0 6.72
N05BA 艾司唑仑片1mg 片 A 0 0.0735
R03AC 硫酸沙丁胺醇吸入气雾剂200揿 瓶 A 0 17.26
R03BA 吸入用布地奈德混悬液2ml 支 B 500 2.79
R05CB 盐酸氨溴索口服溶液100ml 瓶 A 0 8.97
R06AE 盐酸西替利嗪片10mg 片 A 0 0.2158
D07AC 糠酸莫米松乳膏10g 支 B 500 11.48
S01AE 左氧氟沙星滴眼液5ml 支 A 0 5.20""",
    PATENT: """
A01BA 连花清瘟胶囊0.35g 粒 A 0 0.2983
A01BC 板蓝根颗粒10g 袋 A 0 0.485
A01CB 复方甘草口服溶液100ml 瓶 A 0 4.62
A02BA 藿香正气口服液10ml 支 A 0 1.27
A04CA 复方丹参滴丸27mg 粒 A 0 0.1036
A04CA 速效救心丸40mg 粒 A 0 0.2047
A06BA 银杏叶片19.2mg 片 A 0 0.5917
A09CA 六味地黄丸(浓缩丸) 丸 A 0 0.0563
A12HA 云南白药气雾剂85g 瓶 B 1000 42.30
A12HA 麝香壮骨膏 贴 B 1000 1.385
B05AA 龙胆泻肝丸6g 袋 A 0 1.156
C03AA 妇科千金片 片 A 0 0.2214""",
    HERB: """
1 黄芪 克 A 0 0.0850
2 当归 克 A 0 0.1320
3 白术(麸炒) 克 A 0 0.1085
4 茯苓 克 A 0 0.0642
5 甘草片 克 A 0 0.0586
6 党参片 克 A 0 0.1874
7 川芎 克 A 0 0.0913
8 白芍 克 A 0 0.0765
9 熟地黄 克 A 0 0.0718
10 陈皮 克 A 0 0.0433
11 法半夏 克 A 0 0.3127
12 柴胡 克 A 0 0.2275
13 黄芩片 克 A 0 0.0876
14 金银花 克 A 0 0.3385
15 连翘 克 A 0 0.2149
16 桔梗 克 A 0 0.0958
17 薏苡仁 克 A 0 0.0276
18 丹参 克 A 0 0.0634
19 三七粉 克 B 1000 0.5820
20 枸杞子 克 A 0 0.1265
21 山药 克 A 0 0.0592
22 麦冬 克 A 0 0.1943
23 酸枣仁(炒) 克 A 0 0.9475
24 大枣 克 A 0 0.0318""",
    GENERAL: """
111000001 一般诊疗费 次 A 0 10.00
111000002 家庭医生签约服务费 年 A 0 60.00""",
    REGISTRATION: """
110100001 普通门诊挂号费 次 C 10000 0.50
110100002 专家门诊挂号费 次 C 10000 1.00
110100003 急诊挂号费 次 C 10000 1.50
110100004 住院登记费 次 C 10000 1.00""",
    OTHER: """
140000001 病历本工本费 本 C 10000 1.00
140000002 影像胶片费 张 C 10000 18.00
140000003 救护车费 次 C 10000 80.00""",
}


def _codes(category, stem, serial):
    """The hospital's code and the national one of the serial-th item of a category."""
    maker = serial * 7919 % 100000
    if category == DRUG:
        return f"XY{serial:04}", f"X{stem}A{serial:03}A0010101{maker:05}"
    if category == PATENT:
        return f"ZC{serial:04}", f"Z{stem}L{serial:04}0101{maker:05}"
    if category == HERB:
        return f"YP{serial:04}", f"T{int(stem):09}"
    if category == MATERIAL:
        return f"HC{serial:04}", f"C{stem}{serial:03}{maker:05}"
    return f"FW{category:02}{serial:03}", f"00{stem}0000"


def _item(category, serial, row):
    stem, name, unit, grade, self_pay, price = row.split()
    whole, _, fraction = price.partition(".")
    code, national_code = _codes(category, stem, serial)
    return Item(code, national_code, name, unit, category, grade, int(self_pay), int(whole + fraction.ljust(6, "0")))


ITEMS = [
    _item(category, serial, row)
    for category, rows in _ROWS.items()
    for serial, row in enumerate(rows.strip().splitlines(), 1)
]
BY_CATEGORY = {category: [item for item in ITEMS if item.category == category] for category in CATEGORIES}
BY_CODE = {item.code: item for item in ITEMS}


def write_csv(file):
    """The list as `visitbillctl items import` reads it."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["code", "national_code", "name", "unit", "category", "class", "self_pay_ratio", "unit_price", "valid_from"])
    for item in ITEMS:
        writer.writerow([
            item.code, item.national_code, item.name, item.unit, f"{item.category:02}", item.grade,
            decimal_text(item.self_pay, 4), decimal_text(item.price, 6), VALID_FROM,
        ])
