// Loopback shows whether a machine hears its own multicast datagrams: it sends
// two and listens.
//
//	node multicast/loopback/main.js
'use strict'
const dgram = require('node:dgram')
const os = require('node:os')
const { parseArgs } = require('node:util')

const { group, interface: name, wait } = parseArgs({ options: {
  group: { type: 'string', default: '230.185.192.108:8080' },
  interface: { type: 'string' },
  wait: { type: 'string', default: '500ms' }
} }).values
const [host, port] = group.split(':')
const { ifname, ip } = pick(name)

const listener = dgram.createSocket({ type: 'udp4', reuseAddr: true })
const sender = dgram.createSocket('udp4')
listener.bind(port, host, () => {
  listener.addMembership(host, ip)
  sender.bind(0, ip, () => {
    sender.setMulticastInterface(ip)
    sender.setMulticastTTL(0) // on a host with a member it stays on the host
    console.log(`sending to ${group} from ${ip}:${sender.address().port} on ${ifname}, TTL 0`)
    attempt(true)
  })
})

function attempt (loopback) {
  sender.setMulticastLoopback(loopback)
  const data = `loopback ${loopback ? 'on' : 'off'}`
  const timer = setTimeout(() => result('silent'), ms(wait))
  listener.on('message', (message, rinfo) => {
    if (rinfo.port === sender.address().port && message.toString() === data) result('heard')
  })
  sender.send(data, +port, host)

  function result (what) {
    clearTimeout(timer)
    listener.removeAllListeners('message')
    console.log(`${data}: ${what}`)
    if (loopback) {
      attempt(false)
      return
    }
    if (what === 'heard') {
      console.log(`${ifname} returns everything that is sent on it: try -interface with a network card's name`)
    }
    listener.close()
    sender.close()
  }
}

for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    console.log('closed')
    process.exit()
  })
}

// pick returns the named interface, or the loopback interface if there is no
// name, and its IPv4 address.
function pick (name) {
  for (const [ifname, addresses] of Object.entries(os.networkInterfaces())) {
    const found = addresses.find((a) => a.family === 'IPv4' && (name ? ifname === name : a.internal))
    if (found) return { ifname, ip: found.address }
  }
  throw new Error(`interface ${name}: not found`)
}

// ms reads a time as Go prints it: 500ms, 2s.
function ms (time) {
  return parseFloat(time) * (time.endsWith('ms') ? 1 : 1000)
}
